// SPDX-License-Identifier: MIT
// The error map: every row, every column.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "errmap.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <string.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* The usual row: refused before the connection stood, reset after. */
#define USUAL ECONNREFUSED, ECONNREFUSED, ECONNRESET, ECONNRESET
#define TIMEOUT ETIMEDOUT, ETIMEDOUT, ETIMEDOUT, ETIMEDOUT
#define TRUST EACCES, EACCES, EACCES, ECONNRESET

static const struct row {
	ngtcp2_ccerr_type type;
	uint64_t code;
	const char *text;
	/* not established: ours, the peer's; established: ours, the peer's */
	int expected[4];
} rows[] = {
#define T(code, text, ...)                                                                         \
	{                                                                                          \
		NGTCP2_CCERR_TYPE_TRANSPORT, code, text,                                           \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
	T(NGTCP2_NO_ERROR, "closed without error", USUAL),
	T(NGTCP2_INTERNAL_ERROR, "internal error", USUAL),
	T(NGTCP2_CONNECTION_REFUSED, "connection refused", USUAL),
	T(NGTCP2_FLOW_CONTROL_ERROR, "flow control error", USUAL),
	T(NGTCP2_STREAM_LIMIT_ERROR, "stream limit error", USUAL),
	T(NGTCP2_STREAM_STATE_ERROR, "stream state error", USUAL),
	T(NGTCP2_FINAL_SIZE_ERROR, "final size error", USUAL),
	T(NGTCP2_FRAME_ENCODING_ERROR, "frame encoding error", USUAL),
	T(NGTCP2_TRANSPORT_PARAMETER_ERROR, "transport parameter error", USUAL),
	T(NGTCP2_CONNECTION_ID_LIMIT_ERROR, "connection ID limit error", USUAL),
	T(NGTCP2_PROTOCOL_VIOLATION, "protocol violation", USUAL),
	T(NGTCP2_INVALID_TOKEN, "invalid token", USUAL),
	T(NGTCP2_APPLICATION_ERROR, "application error during the handshake", USUAL),
	T(NGTCP2_CRYPTO_BUFFER_EXCEEDED, "crypto buffer exceeded", USUAL),
	T(NGTCP2_KEY_UPDATE_ERROR, "key update error", USUAL),
	T(NGTCP2_AEAD_LIMIT_REACHED, "AEAD limit reached", USUAL),
	T(NGTCP2_NO_VIABLE_PATH, "no viable path", TIMEOUT),
	T(NGTCP2_VERSION_NEGOTIATION_ERROR, "version negotiation error", USUAL),
	T(0x12, "unknown error", USUAL),
	T(0xff, "unknown error", USUAL),
	T(0x200, "unknown error", USUAL),
	T(UINT64_MAX, "unknown error", USUAL),
#define A(alert, text, ...)                                                                        \
	T(NGTCP2_CRYPTO_ERROR | (alert), text " (TLS alert " #alert ")", __VA_ARGS__)
	A(0, "close notify", USUAL),
	A(10, "unexpected message", USUAL),
	A(20, "bad record MAC", USUAL),
	A(22, "record overflow", USUAL),
	A(40, "handshake failure", USUAL),
	A(42, "bad certificate", TRUST),
	A(43, "unsupported certificate", TRUST),
	A(44, "certificate revoked", TRUST),
	A(45, "certificate expired or not yet valid", TRUST),
	A(46, "certificate not acceptable", TRUST),
	A(47, "illegal parameter", USUAL),
	A(48, "certificate not signed by a trusted CA", TRUST),
	A(49, "access denied", TRUST),
	A(50, "decode error", USUAL),
	A(51, "decrypt error", USUAL),
	A(70, "TLS version not supported", USUAL),
	A(71, "insufficient security", USUAL),
	A(80, "internal error of TLS", USUAL),
	A(86, "inappropriate fallback", USUAL),
	A(90, "user canceled", USUAL),
	A(109, "missing extension", USUAL),
	A(110, "unsupported extension", USUAL),
	A(112, "server name not recognized", USUAL),
	A(113, "bad certificate status", TRUST),
	A(115, "unknown PSK identity", USUAL),
	A(116, "certificate required", TRUST),
	A(120, "no application protocol in common", USUAL),
	T(NGTCP2_CRYPTO_ERROR | 1, "TLS alert of unknown number", USUAL),
	T(NGTCP2_CRYPTO_ERROR | 255, "TLS alert of unknown number", USUAL),
	{NGTCP2_CCERR_TYPE_APPLICATION, QS_APP_OK, "closed by the application", {USUAL}},
	{NGTCP2_CCERR_TYPE_APPLICATION, QS_APP_RESET, "reset by the application", {USUAL}},
	{NGTCP2_CCERR_TYPE_APPLICATION, QS_APP_REFUSED, "refused by the application", {USUAL}},
	/* A crypto error's number means nothing in an application's close. */
	{NGTCP2_CCERR_TYPE_APPLICATION,
	 NGTCP2_CRYPTO_ERROR | 48,
	 "closed with an application's code",
	 {USUAL}},
	{NGTCP2_CCERR_TYPE_VERSION_NEGOTIATION, 0, "no QUIC version in common", {USUAL}},
	{NGTCP2_CCERR_TYPE_IDLE_CLOSE, 0, "idle timeout", {TIMEOUT}},
	{NGTCP2_CCERR_TYPE_DROP_CONN, 0, "dropped", {USUAL}},
	{NGTCP2_CCERR_TYPE_RETRY, 0, "address to be validated first", {USUAL}},
	{(ngtcp2_ccerr_type)99, 0, "unknown error", {USUAL}},
};

static void test_close(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		ngtcp2_ccerr error = {.type = rows[i].type, .error_code = rows[i].code};

		for (int column = 0; column < 4; column++)
			if (qs_errmap_close(&error, column & 1, column & 2) !=
			    rows[i].expected[column])
				fail_msg("row %zu (%s), column %d", i, rows[i].text, column);
		assert_string_equal(qs_errmap_text(&error), rows[i].text);
	}
}

/* Every alert that GnuTLS can name for TLS 1.3 has a row, so a log never says "unknown". */
static void test_alerts_complete(void **state)
{
	/* Names of GnuTLS for what TLS 1.3 does not have. */
	static const uint8_t old[] = {21, 30, 41, 60, 100, 111};

	(void)state;
	for (unsigned alert = 0; alert < 256; alert++) {
		ngtcp2_ccerr error;

		if (!gnutls_alert_get_name((gnutls_alert_description_t)alert) ||
		    memchr(old, (int)alert, sizeof(old)))
			continue;
		ngtcp2_ccerr_set_tls_alert(&error, (uint8_t)alert, NULL, 0);
		if (strcmp(qs_errmap_text(&error), "TLS alert of unknown number") == 0)
			fail_msg("alert %u has no row", alert);
	}
}

static void test_ngtcp2(void **state)
{
	static const struct {
		int liberr, before, after;
	} special[] = {
		{NGTCP2_ERR_IDLE_CLOSE, ETIMEDOUT, ETIMEDOUT},
		{NGTCP2_ERR_HANDSHAKE_TIMEOUT, ETIMEDOUT, ETIMEDOUT},
		{NGTCP2_ERR_NO_VIABLE_PATH, ETIMEDOUT, ETIMEDOUT},
		{NGTCP2_ERR_NOMEM, ENOBUFS, ECONNRESET},
	};

	(void)state;
	/* All codes there are, and a margin. */
	for (int liberr = -600; liberr < 0; liberr++) {
		int before = ECONNREFUSED, after = ECONNRESET;

		for (size_t i = 0; i < ELEMENTS(special); i++)
			if (special[i].liberr == liberr) {
				before = special[i].before;
				after = special[i].after;
			}
		assert_int_equal(qs_errmap_ngtcp2(liberr, false), before);
		assert_int_equal(qs_errmap_ngtcp2(liberr, true), after);
	}
}

static void test_stream(void **state)
{
	(void)state;
	assert_int_equal(qs_errmap_stream(QS_APP_OK, false), ECONNRESET);
	assert_int_equal(qs_errmap_stream(QS_APP_OK, true), ECONNRESET);
	assert_int_equal(qs_errmap_stream(QS_APP_RESET, false), ECONNRESET);
	assert_int_equal(qs_errmap_stream(QS_APP_RESET, true), ECONNRESET);
	assert_int_equal(qs_errmap_stream(QS_APP_REFUSED, false), ECONNREFUSED);
	assert_int_equal(qs_errmap_stream(QS_APP_REFUSED, true), ECONNRESET);
	assert_int_equal(qs_errmap_stream(UINT64_MAX, false), ECONNRESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_alerts_complete),
		cmocka_unit_test(test_ngtcp2),
		cmocka_unit_test(test_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
