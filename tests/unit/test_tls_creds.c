// SPDX-License-Identifier: MIT
// TLS: what is refused before any handshake, credentials above all, each with its own words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test_tls_pki.h"
#include "tls.h"

#include <errno.h>
#include <sys/stat.h>

#define NAME "db.example.com"

static const uint8_t address4[4] = {192, 0, 2, 1};

static ngtcp2_conn *no_conn(ngtcp2_crypto_conn_ref *ref)
{
	(void)ref;
	return NULL;
}

static void test_init_arguments(void **state)
{
	struct qs_rule rule = {.alpn = "quicshim", .ca = pki_path("ca.pem")};
	struct qs_tls_link link = {.ref.get_conn = no_conn};
	struct qs_tls_creds *creds;
	static const char long_alpn[] = "12345678901234567890123456789012"; /* 32 */
	char long_name[300];

	(void)state;
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(qs_tls_creds_new(&rule, &creds, NULL), 0);
#define INIT(alpn, sni, name, address, len)                                                        \
	qs_tls_client_init(&link, creds, alpn, sni, name, address, len)
	assert_int_equal(INIT("quicshim", NULL, NULL, NULL, 0), -EINVAL);
	assert_int_equal(INIT("quicshim", NULL, "", address4, 3), -EINVAL);
	assert_int_equal(INIT("quicshim", NULL, ".", NULL, 0), -EINVAL);
	assert_int_equal(INIT("quicshim", NULL, long_name, NULL, 0), -EINVAL);
	assert_int_equal(INIT("quicshim", long_name, NAME, NULL, 0), -EINVAL);
	assert_int_equal(INIT("", NULL, NAME, NULL, 0), -EINVAL);
	assert_int_equal(INIT(long_alpn, NULL, NAME, NULL, 0), -EINVAL);
	assert_int_equal(INIT(long_alpn + 1, NULL, NAME, NULL, 0), 0);
	qs_tls_fini(&link);
	qs_tls_fini(&link);
	assert_int_equal(qs_tls_server_init(&link, creds, "quicshim"), -EINVAL);
	link.ref.get_conn = NULL;
	assert_int_equal(INIT("quicshim", NULL, NAME, NULL, 0), -EINVAL);
#undef INIT
	qs_tls_creds_unref(creds);
}

static void expect_creds_error(const struct qs_rule *rule, const char *file, const char *cause)
{
	struct qs_tls_error error = {""};
	struct qs_tls_creds *creds = NULL;

	assert_int_equal(qs_tls_creds_new(rule, &creds, NULL), -EACCES);
	assert_int_equal(qs_tls_creds_new(rule, &creds, &error), -EACCES);
	assert_null(creds);
	assert_null(strchr(error.text, '\n'));
	if (strncmp(error.text, file, strlen(file)) != 0 || !strstr(error.text, cause))
		fail_msg("\"%s\" should name %s and say \"%s\"", error.text, file, cause);
}

static void test_creds_errors(void **state)
{
	static char big[1024 * 1024 + 1];
	const char *none = pki_path("none.pem"), *ca = pki_path("ca.pem");
	const char *text = pki_write("text.pem", "hello\n", 6, false);
	const char *torn = pki_write("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n", 33, false);
	const char *empty = pki_write("empty.pem", "", 0, false);
	const char *huge = pki_write("huge.pem", big, sizeof(big), false);
	const char *cert = pki_path("server.pem"), *key = pki_path("server.key");
	struct qs_rule rule = {.alpn = "quicshim"};

	(void)state;
	rule.ca = none;
	expect_creds_error(&rule, none, "cannot read the CA file: No such file or directory");
	rule.ca = pki_dir;
	expect_creds_error(&rule, pki_dir, "not a regular file");
	rule.ca = text;
	expect_creds_error(&rule, text, "not in PEM format");
	rule.ca = empty;
	expect_creds_error(&rule, empty, "not in PEM format");
	rule.ca = key;
	expect_creds_error(&rule, key, "holds no certificate");
	rule.ca = torn;
	expect_creds_error(&rule, torn, "the CA file");
	rule.ca = huge;
	expect_creds_error(&rule, huge, "over 1 MiB");
	if (geteuid() != 0) {
		rule.ca = pki_write("secret.pem", "x", 1, false);
		assert_int_equal(chmod(rule.ca, 0), 0);
		expect_creds_error(&rule, rule.ca, "Permission denied");
	}
	rule.ca = ca;
	rule.cert = cert;
	expect_creds_error(&rule, "a client certificate", "both");
	rule.alpn = "12345678901234567890123456789012";
	expect_creds_error(&rule, "alpn", "over 31 bytes");

	rule = (struct qs_rule){.listen = true, .alpn = "quicshim"};
	expect_creds_error(&rule, "a listener", "both");
	rule.cert = none;
	rule.key = key;
	expect_creds_error(&rule, none, "cannot read the certificate: No such file");
	rule.cert = key;
	expect_creds_error(&rule, key, "holds no certificate");
	rule.cert = torn;
	expect_creds_error(&rule, torn, "the certificate");
	rule.cert = cert;
	rule.key = none;
	expect_creds_error(&rule, none, "cannot read the private key: No such file");
	rule.key = text;
	expect_creds_error(&rule, text, "the private key is not in PEM format");
	rule.key = empty;
	expect_creds_error(&rule, empty, "the private key is not in PEM format");
	rule.key = cert;
	expect_creds_error(&rule, cert, "holds no private key");
	rule.key = pki_path("locked.key");
	expect_creds_error(&rule, rule.key, "encrypted");
	rule.key = pki_path("client.key");
	expect_creds_error(&rule, rule.key, "does not match the certificate");
	rule.key = key;
	rule.client_ca = text;
	expect_creds_error(&rule, text, "the client CA file is not in PEM format");
}

/* Every Debian has one, but a container may not. */
static void test_system_trust(void **state)
{
	struct qs_rule rule = {.alpn = "quicshim"};
	struct qs_tls_error error = {""};
	struct qs_tls_creds *creds = NULL;
	int rv = qs_tls_creds_new(&rule, &creds, &error);

	(void)state;
	if (rv == -EACCES) {
		assert_non_null(strstr(error.text, "trust store is empty"));
		assert_null(creds);
		return;
	}
	assert_int_equal(rv, 0);
	assert_ptr_equal(qs_tls_creds_ref(creds), creds);
	qs_tls_creds_unref(creds);
	qs_tls_creds_unref(creds);
	qs_tls_creds_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_arguments),
		cmocka_unit_test(test_creds_errors),
		cmocka_unit_test(test_system_trust),
	};

	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
