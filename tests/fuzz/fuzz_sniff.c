/* SPDX-License-Identifier: MIT */
/* Fuzz target: a first flight. Input: per datagram a kind, a length of two octets, and that many octets, which are a raw
 * datagram (kind even) or the frames of an Initial that is sealed here (odd). */
#include "sniff.h"

#include "tests/unit/initial_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

static void check(const struct qs_sniff *sniff, enum qs_sniff_verdict verdict)
{
	size_t len;

	must(sniff->prefix <= sniff->capacity && sniff->capacity <= QS_SNIFF_HELLO_MAX);
	must(memchr(sniff->sni, '\0', sizeof(sniff->sni)) != NULL);
	if (verdict != QS_SNIFF_DECIDED)
		return;
	for (const uint8_t *name = NULL; (name = qs_sniff_alpn(sniff, name, &len)) != NULL;)
		must(len > 0 && name > sniff->hello && name + len <= sniff->hello + sniff->prefix);
	qs_sniff_offers(sniff, "h3");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t datagram[40000], frames[16000];
	static const uint8_t id[8] = "fuzz-id";
	struct initial_flight flight = {.version = size % 2 ? NGTCP2_PROTO_VER_V1
							    : NGTCP2_PROTO_VER_V2,
					.dcid = id,
					.dcid_len = sizeof(id)};
	enum qs_sniff_verdict last = QS_SNIFF_MORE;
	struct qs_sniff sniff;
	size_t n;

	n = initial_seal(datagram, &flight, 0, (const uint8_t *)"\x01", 1, 1200);
	must(qs_sniff_init(&sniff, datagram, n) == 0);
	for (uint32_t number = 1; size >= 3; number++) {
		size_t want = (size_t)(data[1] << 8 | data[2]), len = size - 3;
		enum qs_sniff_verdict verdict;
		struct qs_sniff raw;

		if (len > want)
			len = want;
		if (len > sizeof(frames))
			len = sizeof(frames);
		if (data[0] % 2) {
			n = initial_seal(datagram, &flight, number, data + 3, len, 1200);
		} else {
			memset(datagram, 0, 1200);
			memcpy(datagram, data + 3, len);
			n = len > 1200 ? len : 1200;
			if (qs_sniff_init(&raw, datagram, n) == 0) {
				check(&raw, qs_sniff_feed(&raw, datagram, n));
				qs_sniff_fini(&raw);
			}
		}
		verdict = qs_sniff_feed(&sniff, datagram, n);
		check(&sniff, verdict);
		must(last == QS_SNIFF_MORE || verdict == last);
		if (verdict != QS_SNIFF_NOISE)
			last = verdict;
		data += 3 + len;
		size -= 3 + len;
	}
	qs_sniff_fini(&sniff);
	return 0;
}
