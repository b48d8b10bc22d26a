// SPDX-License-Identifier: MIT
// Error codes of QUIC and TLS as errno values and as texts.
#include "errmap.h"

#include <errno.h>
#include <stddef.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* What an app sees before and after its connect() has succeeded. */
enum class {
	CLASS_OTHER, /* ECONNREFUSED, ECONNRESET */
	CLASS_TIMEOUT, /* ETIMEDOUT in both */
	CLASS_TRUST, /* EACCES; after, and from the peer: ECONNRESET */
	CLASS_MEMORY, /* ENOBUFS, ECONNRESET */
};

struct code {
	uint64_t code;
	enum class class;
	const char *text;
};

/* RFC 9000, 20.1; RFC 9368, 7 */
static const struct code transport_codes[] = {
	{NGTCP2_NO_ERROR, CLASS_OTHER, "closed without error"},
	{NGTCP2_INTERNAL_ERROR, CLASS_OTHER, "internal error"},
	{NGTCP2_CONNECTION_REFUSED, CLASS_OTHER, "connection refused"},
	{NGTCP2_FLOW_CONTROL_ERROR, CLASS_OTHER, "flow control error"},
	{NGTCP2_STREAM_LIMIT_ERROR, CLASS_OTHER, "stream limit error"},
	{NGTCP2_STREAM_STATE_ERROR, CLASS_OTHER, "stream state error"},
	{NGTCP2_FINAL_SIZE_ERROR, CLASS_OTHER, "final size error"},
	{NGTCP2_FRAME_ENCODING_ERROR, CLASS_OTHER, "frame encoding error"},
	{NGTCP2_TRANSPORT_PARAMETER_ERROR, CLASS_OTHER, "transport parameter error"},
	{NGTCP2_CONNECTION_ID_LIMIT_ERROR, CLASS_OTHER, "connection ID limit error"},
	{NGTCP2_PROTOCOL_VIOLATION, CLASS_OTHER, "protocol violation"},
	{NGTCP2_INVALID_TOKEN, CLASS_OTHER, "invalid token"},
	{NGTCP2_APPLICATION_ERROR, CLASS_OTHER, "application error during the handshake"},
	{NGTCP2_CRYPTO_BUFFER_EXCEEDED, CLASS_OTHER, "crypto buffer exceeded"},
	{NGTCP2_KEY_UPDATE_ERROR, CLASS_OTHER, "key update error"},
	{NGTCP2_AEAD_LIMIT_REACHED, CLASS_OTHER, "AEAD limit reached"},
	{NGTCP2_NO_VIABLE_PATH, CLASS_TIMEOUT, "no viable path"},
	{NGTCP2_VERSION_NEGOTIATION_ERROR, CLASS_OTHER, "version negotiation error"},
};

/* RFC 8446, 6 and RFC 7301, 3.2: the low octet of a crypto error (RFC 9001, 4.8) */
static const struct code alerts[] = {
	{0, CLASS_OTHER, "close notify (TLS alert 0)"},
	{10, CLASS_OTHER, "unexpected message (TLS alert 10)"},
	{20, CLASS_OTHER, "bad record MAC (TLS alert 20)"},
	{22, CLASS_OTHER, "record overflow (TLS alert 22)"},
	{40, CLASS_OTHER, "handshake failure (TLS alert 40)"},
	{42, CLASS_TRUST, "bad certificate (TLS alert 42)"},
	{43, CLASS_TRUST, "unsupported certificate (TLS alert 43)"},
	{44, CLASS_TRUST, "certificate revoked (TLS alert 44)"},
	{45, CLASS_TRUST, "certificate expired or not yet valid (TLS alert 45)"},
	{46, CLASS_TRUST, "certificate not acceptable (TLS alert 46)"},
	{47, CLASS_OTHER, "illegal parameter (TLS alert 47)"},
	{48, CLASS_TRUST, "certificate not signed by a trusted CA (TLS alert 48)"},
	{49, CLASS_TRUST, "access denied (TLS alert 49)"},
	{50, CLASS_OTHER, "decode error (TLS alert 50)"},
	{51, CLASS_OTHER, "decrypt error (TLS alert 51)"},
	{70, CLASS_OTHER, "TLS version not supported (TLS alert 70)"},
	{71, CLASS_OTHER, "insufficient security (TLS alert 71)"},
	{80, CLASS_OTHER, "internal error of TLS (TLS alert 80)"},
	{86, CLASS_OTHER, "inappropriate fallback (TLS alert 86)"},
	{90, CLASS_OTHER, "user canceled (TLS alert 90)"},
	{109, CLASS_OTHER, "missing extension (TLS alert 109)"},
	{110, CLASS_OTHER, "unsupported extension (TLS alert 110)"},
	{112, CLASS_OTHER, "server name not recognized (TLS alert 112)"},
	{113, CLASS_TRUST, "bad certificate status (TLS alert 113)"},
	{115, CLASS_OTHER, "unknown PSK identity (TLS alert 115)"},
	{116, CLASS_TRUST, "certificate required (TLS alert 116)"},
	{120, CLASS_OTHER, "no application protocol in common (TLS alert 120)"},
};

static const struct code app_codes[] = {
	{QS_APP_OK, CLASS_OTHER, "closed by the application"},
	{QS_APP_RESET, CLASS_OTHER, "reset by the application"},
	{QS_APP_REFUSED, CLASS_OTHER, "refused by the application"},
	{QS_APP_MOVED, CLASS_OTHER, "refused by an application that has moved"},
};

/* Return values that do not stand for CLASS_OTHER. */
static const struct {
	int liberr;
	enum class class;
} liberrs[] = {
	{NGTCP2_ERR_IDLE_CLOSE, CLASS_TIMEOUT},
	{NGTCP2_ERR_HANDSHAKE_TIMEOUT, CLASS_TIMEOUT},
	{NGTCP2_ERR_NO_VIABLE_PATH, CLASS_TIMEOUT},
	{NGTCP2_ERR_NOMEM, CLASS_MEMORY},
};

static const struct code *find(const struct code *table, size_t n, uint64_t code)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].code == code)
			return &table[i];
	return NULL;
}

static const struct code *find_close(const ngtcp2_ccerr *error)
{
	static const struct code idle = {0, CLASS_TIMEOUT, "idle timeout"},
				 version = {0, CLASS_OTHER, "no QUIC version in common"},
				 dropped = {0, CLASS_OTHER, "dropped"},
				 retry = {0, CLASS_OTHER, "address to be validated first"},
				 app = {0, CLASS_OTHER, "closed with an application's code"},
				 alert = {0, CLASS_OTHER, "TLS alert of unknown number"},
				 unknown = {0, CLASS_OTHER, "unknown error"};
	const struct code *found = NULL;

	switch (error->type) {
	case NGTCP2_CCERR_TYPE_TRANSPORT:
		if (error->error_code >= NGTCP2_CRYPTO_ERROR &&
		    error->error_code <= NGTCP2_CRYPTO_ERROR + 0xff) {
			found = find(alerts, ELEMENTS(alerts),
				     error->error_code - NGTCP2_CRYPTO_ERROR);
			return found ? found : &alert;
		}
		found = find(transport_codes, ELEMENTS(transport_codes), error->error_code);
		break;
	case NGTCP2_CCERR_TYPE_APPLICATION:
		found = find(app_codes, ELEMENTS(app_codes), error->error_code);
		return found ? found : &app;
	case NGTCP2_CCERR_TYPE_VERSION_NEGOTIATION:
		return &version;
	case NGTCP2_CCERR_TYPE_IDLE_CLOSE:
		return &idle;
	case NGTCP2_CCERR_TYPE_DROP_CONN:
		return &dropped;
	case NGTCP2_CCERR_TYPE_RETRY:
		return &retry;
	}
	return found ? found : &unknown;
}

static int to_errno(enum class class, bool remote, bool established)
{
	switch (class) {
	case CLASS_TIMEOUT:
		return ETIMEDOUT;
	case CLASS_TRUST:
		if (!remote || !established)
			return EACCES;
		break;
	case CLASS_MEMORY:
		if (!established)
			return ENOBUFS;
		break;
	case CLASS_OTHER:
		break;
	}
	return established ? ECONNRESET : ECONNREFUSED;
}

int qs_errmap_close(const ngtcp2_ccerr *error, bool remote, bool established)
{
	return to_errno(find_close(error)->class, remote, established);
}

int qs_errmap_ngtcp2(int liberr, bool established)
{
	for (size_t i = 0; i < ELEMENTS(liberrs); i++)
		if (liberrs[i].liberr == liberr)
			return to_errno(liberrs[i].class, false, established);
	return to_errno(CLASS_OTHER, false, established);
}

int qs_errmap_stream(uint64_t app_code, bool exchanged)
{
	return (app_code == QS_APP_REFUSED || app_code == QS_APP_MOVED) && !exchanged ? ECONNREFUSED
										      : ECONNRESET;
}

const char *qs_errmap_text(const ngtcp2_ccerr *error)
{
	return find_close(error)->text;
}
