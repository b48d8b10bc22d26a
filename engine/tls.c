// SPDX-License-Identifier: MIT
// TLS sessions: one for each connection, client or server, set up for QUIC and for verification.
#include "tls_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

/* No tickets: no session resumption and no 0-RTT, until the policy can ask for them. The guard
 * and the verification both rely on it: a resumed handshake shows no certificate. */
#define FLAGS_COMMON (GNUTLS_NO_TICKETS | GNUTLS_NO_END_OF_EARLY_DATA)
/* The client certificate of the rule is shown whichever CA names the server sends: a refusal
 * then says what is wrong with it, not that there is none. */
#define FLAGS_CLIENT (GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT | FLAGS_COMMON)
#define FLAGS_SERVER (GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET | FLAGS_COMMON)

static int to_errno(int rv)
{
	return rv == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

/* A numeric address as 4 or 16 bytes; 0 if it is none. v4-mapped ones count as IPv4. */
static size_t parse_address(const char *name, uint8_t out[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t bytes[16];

	if (inet_pton(AF_INET, name, out) == 1)
		return 4;
	if (inet_pton(AF_INET6, name, bytes) != 1)
		return 0;
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		memcpy(out, bytes + 12, 4);
		return 4;
	}
	memcpy(out, bytes, 16);
	return 16;
}

/* Copies a host name without the dot that may end it. -EINVAL if it is too long. */
static int copy_name(char *out, size_t size, const char *name)
{
	size_t len = name ? strlen(name) : 0;

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len >= size)
		return -EINVAL;
	if (len > 0)
		memcpy(out, name, len);
	out[len] = '\0';
	return 0;
}

/* What both roles share; link->session is set on success. */
static int session_init(struct qs_tls_link *link, struct qs_tls_creds *creds, const char *alpn,
			unsigned flags)
{
	gnutls_datum_t protocol;
	size_t alpn_len = alpn ? strlen(alpn) : 0;
	int rv;

	if (!creds || !link->ref.get_conn || alpn_len == 0 || alpn_len > QS_TLS_ALPN_MAX)
		return -EINVAL;
	memcpy(link->alpn, alpn, alpn_len + 1);
	link->alpn_len = (uint8_t)alpn_len;

	rv = gnutls_init(&link->session, flags);
	if (rv < 0) {
		link->session = NULL;
		return to_errno(rv);
	}
	gnutls_session_set_ptr(link->session, &link->ref);
	rv = gnutls_priority_set(link->session, creds->priority);
	if (rv < 0)
		goto fail;
	rv = gnutls_credentials_set(link->session, GNUTLS_CRD_CERTIFICATE, creds->cert);
	if (rv < 0)
		goto fail;
	protocol.data = (unsigned char *)link->alpn;
	protocol.size = link->alpn_len;
	rv = gnutls_alpn_set_protocols(link->session, &protocol, 1, GNUTLS_ALPN_MANDATORY);
	if (rv < 0)
		goto fail;

	if (flags & GNUTLS_SERVER)
		rv = ngtcp2_crypto_gnutls_configure_server_session(link->session);
	else
		rv = ngtcp2_crypto_gnutls_configure_client_session(link->session);
	if (rv < 0) {
		rv = GNUTLS_E_MEMORY_ERROR;
		goto fail;
	}
	/* Over the one that ngtcp2 has just set: see tls_guard.c. */
	gnutls_handshake_set_secret_function(link->session, qs_tls_guard_secret);
	if (link->guard.must_verify)
		gnutls_session_set_verify_function(link->session, qs_tls_guard_verify);
	link->creds = qs_tls_creds_ref(creds);
	return 0;
fail:
	gnutls_deinit(link->session);
	link->session = NULL;
	return to_errno(rv);
}

static void link_clear(struct qs_tls_link *link)
{
	ngtcp2_crypto_conn_ref ref = link->ref;

	memset(link, 0, sizeof(*link));
	link->ref = ref;
}

int qs_tls_client_init(struct qs_tls_link *link, struct qs_tls_creds *creds, const char *alpn,
		       const char *sni, const char *verify_name, const uint8_t *verify_address,
		       size_t verify_address_len)
{
	char host[sizeof(link->verify_name)];
	uint8_t address[16];
	int rv;

	link_clear(link);
	link->guard.must_verify = true;
	if (copy_name(link->verify_name, sizeof(link->verify_name), verify_name) < 0 ||
	    copy_name(host, sizeof(host), sni) < 0)
		return -EINVAL;
	if (link->verify_name[0]) {
		link->verify_address_len =
			(uint8_t)parse_address(link->verify_name, link->verify_address);
		if (link->verify_address_len)
			link->verify_name[0] = '\0';
	} else if (verify_address && (verify_address_len == 4 || verify_address_len == 16)) {
		memcpy(link->verify_address, verify_address, verify_address_len);
		link->verify_address_len = (uint8_t)verify_address_len;
	}
	if (!link->verify_name[0] && !link->verify_address_len)
		return -EINVAL;

	rv = session_init(link, creds, alpn, FLAGS_CLIENT);
	if (rv < 0)
		return rv;
	if (host[0] && !parse_address(host, address)) { /* RFC 6066, 3: never an address */
		rv = gnutls_server_name_set(link->session, GNUTLS_NAME_DNS, host, strlen(host));
		if (rv < 0) {
			qs_tls_fini(link);
			return to_errno(rv);
		}
	}
	return 0;
}

int qs_tls_server_init(struct qs_tls_link *link, struct qs_tls_creds *creds, const char *alpn)
{
	int rv;

	link_clear(link);
	link->guard.server = true;
	link->guard.must_verify = creds && creds->require_client;
	if (creds && !creds->listen)
		return -EINVAL;
	rv = session_init(link, creds, alpn, FLAGS_SERVER);
	if (rv < 0)
		return rv;
	if (link->guard.must_verify) {
		gnutls_certificate_server_set_request(link->session, GNUTLS_CERT_REQUIRE);
		/* The names of our CAs are nobody's business, and a full flight is dear. */
		gnutls_certificate_send_x509_rdn_sequence(link->session, 1);
	}
	return 0;
}

void qs_tls_fini(struct qs_tls_link *link)
{
	if (link->session)
		gnutls_deinit(link->session);
	link->session = NULL;
	qs_tls_creds_unref(link->creds);
	link->creds = NULL;
	explicit_bzero(link->guard.early_secret, sizeof(link->guard.early_secret));
	link->guard.early_secret_len = 0;
}

const char *qs_tls_server_name(struct qs_tls_link *link, char *buf, size_t size)
{
	unsigned type = 0;
	size_t len = size;

	if (size == 0)
		return "";
	if (!link->session || gnutls_server_name_get(link->session, buf, &len, &type, 0) < 0 ||
	    type != GNUTLS_NAME_DNS)
		buf[0] = '\0';
	return buf;
}

int qs_tls_recv_crypto_data(ngtcp2_conn *conn, ngtcp2_encryption_level level, uint64_t offset,
			    const uint8_t *data, size_t datalen, void *user_data)
{
	struct qs_tls_link *link = ((struct qs_tls_user *)user_data)->link;
	struct qs_tls_guard *guard = &link->guard;
	int rv = 0;

	/* Once refused, the session is never run again: GnuTLS would go on where it stopped. */
	if (!guard->alert)
		rv = ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, datalen,
						       user_data);
	if (guard->alert) {
		ngtcp2_conn_set_tls_alert(conn, guard->alert);
		return NGTCP2_ERR_CRYPTO;
	}
	if (rv == NGTCP2_ERR_CRYPTO && guard->server && guard->must_verify &&
	    ngtcp2_conn_get_tls_alert(conn) == GNUTLS_A_CERTIFICATE_REQUIRED) {
		guard->verify_failure = "none was sent";
		strcpy(guard->verify_text, "certificate of the peer: none was sent");
	}
	return rv;
}
