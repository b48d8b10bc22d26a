// SPDX-License-Identifier: MIT
// Connection IDs on the wire: a server's in the open or encrypted, a client's always encrypted; and the
// key's file.
#include "engine_kit_stream.h"

#include "cid_codec.h"

static const char digits[] = "  000102030405060708090a0b0c0d0e0f\n";
static const uint8_t key[QS_CID_KEY_LEN] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* How many IDs of server or client connections the engine, which rests, has of this host. */
static unsigned count(bool server, const struct qs_cid_codec *codec, unsigned *all)
{
	struct qs_cid_entry *entry;
	struct qs_cid_fields fields;
	unsigned n = 0;

	*all = 0;
	for (entry = kit_engine.cids; entry != NULL; entry = entry->hh.next) {
		if (entry->conn->server != server || entry->len != QS_CID_LEN)
			continue;
		++*all;
		n += qs_cid_codec_decode(codec, entry->data, entry->len, &fields) == 0;
	}
	return n;
}

/* A session under this policy; its end is the connection's, and the engine is looked at between. */
static void session(const char *more, const struct qs_cid_codec *servers)
{
	struct qs_cid_codec open_ids;
	uint16_t port = 0;
	int listener, client, server;
	unsigned all;

	assert_int_equal(qs_cid_codec_init(&open_ids, 0, 0, NULL), 0);
	kit_start(kit_policy(more));
	listener = kit_listen(KIT_ONE, &port);
	kit_pair(KIT_ONE, port, listener, &client, &server);
	for (int i = 0; i < 20; i++)
		kit_ping(client, server, 'x');
	kit_pages(); /* it has answered: since then it only waits */
	assert_true(count(true, servers, &all) == all && all > 0);
	/* One of 65,536 is taken for one in the open. */
	assert_true(count(false, &open_ids, &all) <= 1 && all > 1);
	close(client);
	close(server);
	close(listener);
	kit_stop();
}

static void in_the_open(void **state)
{
	struct qs_cid_codec codec;

	(void)state;
	assert_int_equal(qs_cid_codec_init(&codec, 0, 0, NULL), 0);
	session("", &codec);
	assert_int_equal(qs_cid_codec_init(&codec, 4711, 0, NULL), 0);
	session("host-id = 4711\n", &codec);
}

static void encrypted(void **state)
{
	struct qs_cid_codec codec;
	char line[160];

	(void)state;
	snprintf(line, sizeof(line), "host-id = 7\ncid-key = %s\n",
		 pki_write("cid.key", digits, sizeof(digits) - 1, false));
	assert_int_equal(qs_cid_codec_init(&codec, 7, 0, key), 0);
	session(line, &codec);
	qs_cid_codec_fini(&codec);
}

static void bad_key_files(void **state)
{
	static const char *const bad[] = {"", "000102", "000102030405060708090a0b0c0d0e0g",
					  "000102030405060708090a0b0c0d0e0f00"};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct qs_rule rule = {.listen = true,
				       .cert = pki_path("kit.pem"),
				       .key = pki_path("kit.key"),
				       .cid_key =
					       pki_write("bad.key", bad[i], strlen(bad[i]), false)};
		struct qs_tls_creds *creds;
		struct qs_tls_error error;

		assert_int_equal(qs_tls_creds_new(&rule, &creds, &error), -EACCES);
		assert_non_null(strstr(error.text, "32 hexadecimal digits"));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_open),
		cmocka_unit_test(encrypted),
		cmocka_unit_test(bad_key_files),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
