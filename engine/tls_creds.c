// SPDX-License-Identifier: MIT
// Credentials: the files that a rule names, read and checked once.
#include "tls_parts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define FILE_BYTES_MAX (1024u * 1024u)
#define CHAIN_MAX 10 /* certificates in a peer's chain */
#define KEY_BITS_MAX 8192 /* of a key in it: bounds what a handshake may cost us */

/* AES first where the CPU has instructions for it; without them it is slow and leaks timing.
 * No CCM. Keys under RSA 2048's strength and SHA-1 signatures are refused (medium profile). */
#define PRIORITY(ciphers)                                                                          \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:" ciphers                                       \
	":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"             \
	":%DISABLE_TLS13_COMPAT_MODE:%PROFILE_MEDIUM"
static const char priority_aes[] = PRIORITY("+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM");
static const char priority_plain[] = PRIORITY("+CHACHA20-POLY1305:+AES-128-GCM:+AES-256-GCM");

static bool cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & (1ul << 3); /* HWCAP_AES */
#else
	return false;
#endif
}

__attribute__((format(printf, 2, 3))) static int refuse(struct qs_tls_error *error,
							const char *format, ...)
{
	va_list args;

	if (error) {
		va_start(args, format);
		(void)vsnprintf(error->text, sizeof(error->text), format, args);
		va_end(args);
		for (char *c = error->text; *c; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				*c = '?';
	}
	return -EACCES;
}

static int no_memory(struct qs_tls_error *error)
{
	refuse(error, "out of memory while credentials were loaded");
	return -ENOMEM;
}

/* `what` says in messages what the file should be. The bytes are the caller's: free_file(). */
static int read_file(const char *path, const char *what, gnutls_datum_t *out,
		     struct qs_tls_error *error)
{
	struct stat st;
	unsigned char *bytes = NULL;
	size_t len = 0;
	int ret;
	/* O_NONBLOCK: a FIFO must not hang the engine. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) < 0) {
		ret = refuse(error, "%s: cannot read the %s: %s", path, what,
			     strerrordesc_np(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		ret = refuse(error, "%s: cannot read the %s: not a regular file", path, what);
		goto out;
	}
	bytes = malloc(FILE_BYTES_MAX + 1);
	if (!bytes) {
		ret = no_memory(error);
		goto out;
	}
	while (len <= FILE_BYTES_MAX) {
		ssize_t n = read(fd, bytes + len, FILE_BYTES_MAX + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ret = refuse(error, "%s: cannot read the %s: %s", path, what,
				     strerrordesc_np(errno));
			goto out;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > FILE_BYTES_MAX) {
		ret = refuse(error, "%s: over 1 MiB, so this is no %s", path, what);
		goto out;
	}
	out->data = bytes;
	out->size = (unsigned)len;
	bytes = NULL;
	ret = 0;
out:
	if (bytes) {
		explicit_bzero(bytes, len);
		free(bytes);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

static void free_file(gnutls_datum_t *file)
{
	if (file->data) {
		explicit_bzero(file->data, file->size);
		free(file->data);
	}
	file->data = NULL;
	file->size = 0;
}

static bool holds(const gnutls_datum_t *file, const char *word)
{
	return file->data && memmem(file->data, file->size, word, strlen(word)) != NULL;
}

static int refuse_certificate(struct qs_tls_error *error, const char *path, const char *what,
			      const gnutls_datum_t *file, int rv)
{
	if (rv == GNUTLS_E_MEMORY_ERROR)
		return no_memory(error);
	if (!holds(file, "-----BEGIN"))
		return refuse(error, "%s: the %s is not in PEM format", path, what);
	if (rv >= 0 || rv == GNUTLS_E_NO_CERTIFICATE_FOUND)
		return refuse(error, "%s: the %s holds no certificate", path, what);
	return refuse(error, "%s: the %s cannot be parsed: %s", path, what, gnutls_strerror(rv));
}

/* The certificate (with its chain) and the key that we show. */
static int load_identity(struct qs_tls_creds *creds, const char *cert_path, const char *key_path,
			 struct qs_tls_error *error)
{
	static const char cert_what[] = "certificate", key_what[] = "private key";
	static const char reset_label[] = "quicshim stateless reset";
	gnutls_datum_t cert = {NULL, 0}, key = {NULL, 0};
	gnutls_x509_crt_t *chain = NULL;
	gnutls_x509_privkey_t private = NULL;
	unsigned n_chain = 0;
	int rv, ret;

	ret = read_file(cert_path, cert_what, &cert, error);
	if (ret < 0)
		goto out;
	ret = read_file(key_path, key_what, &key, error);
	if (ret < 0)
		goto out;

	rv = gnutls_x509_crt_list_import2(&chain, &n_chain, &cert, GNUTLS_X509_FMT_PEM, 0);
	if (rv < 0 || n_chain == 0) {
		chain = NULL;
		n_chain = 0;
		ret = refuse_certificate(error, cert_path, cert_what, &cert, rv);
		goto out;
	}

	rv = gnutls_x509_privkey_init(&private);
	if (rv < 0) {
		ret = no_memory(error);
		goto out;
	}
	rv = gnutls_x509_privkey_import2(private, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rv == GNUTLS_E_MEMORY_ERROR) {
		ret = no_memory(error);
	} else if (rv < 0 && holds(&key, "ENCRYPTED")) {
		ret = refuse(error,
			     "%s: the private key is encrypted and nobody can be asked for the "
			     "password; store it decrypted, readable by its owner only",
			     key_path);
	} else if (rv < 0 && !holds(&key, "-----BEGIN")) {
		ret = refuse(error, "%s: the private key is not in PEM format", key_path);
	} else if (rv < 0 && !holds(&key, "PRIVATE KEY-----")) {
		ret = refuse(error, "%s: holds no private key", key_path);
	} else if (rv < 0) {
		ret = refuse(error, "%s: the private key cannot be parsed: %s", key_path,
			     gnutls_strerror(rv));
	}
	if (rv < 0)
		goto out;

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.data, key.size, reset_label,
			     sizeof(reset_label) - 1, creds->reset_secret) < 0) {
		ret = no_memory(error);
		goto out;
	}
	rv = gnutls_certificate_set_x509_key(creds->cert, chain, (int)n_chain, private);
	if (rv == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		ret = refuse(error, "%s: the private key does not match the certificate %s",
			     key_path, cert_path);
	else if (rv == GNUTLS_E_CERTIFICATE_LIST_UNSORTED)
		ret = refuse(error, "%s: the certificates do not form a chain", cert_path);
	else if (rv == GNUTLS_E_MEMORY_ERROR)
		ret = no_memory(error);
	else if (rv < 0)
		ret = refuse(error, "%s: the certificate cannot be used: %s", cert_path,
			     gnutls_strerror(rv));
out:
	for (unsigned i = 0; i < n_chain; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_free(chain);
	if (private)
		gnutls_x509_privkey_deinit(private);
	free_file(&key);
	free_file(&cert);
	return ret;
}

/* Whom we trust. */
static int load_trust(struct qs_tls_creds *creds, const char *path, const char *what,
		      struct qs_tls_error *error)
{
	gnutls_datum_t file = {NULL, 0};
	int rv, ret;

	if (!path) {
		rv = gnutls_certificate_set_x509_system_trust(creds->cert);
		if (rv > 0)
			return 0;
		return refuse(error, "the system's trust store is empty or cannot be read; install "
				     "ca-certificates or name a CA file with \"ca\"");
	}
	ret = read_file(path, what, &file, error);
	if (ret < 0)
		return ret;
	rv = gnutls_certificate_set_x509_trust_mem(creds->cert, &file, GNUTLS_X509_FMT_PEM);
	if (rv <= 0)
		ret = refuse_certificate(error, path, what, &file, rv);
	free_file(&file);
	return ret;
}

/* 32 hexadecimal digits, and white space around them. */
static int load_cid_key(struct qs_tls_creds *creds, const char *path, struct qs_tls_error *error)
{
	gnutls_datum_t file = {NULL, 0}, digits;
	size_t len = sizeof(creds->cid_key);
	int ret = read_file(path, "key of connection IDs", &file, error);

	if (ret < 0)
		return ret;
	digits = file;
	while (digits.size > 0 && isspace(digits.data[digits.size - 1]))
		digits.size--;
	while (digits.size > 0 && isspace(*digits.data)) {
		digits.data++;
		digits.size--;
	}
	if (digits.size != 2 * sizeof(creds->cid_key) ||
	    gnutls_hex_decode(&digits, creds->cid_key, &len) < 0 || len != sizeof(creds->cid_key))
		ret = refuse(error,
			     "%s: holds no key of connection IDs; write 32 hexadecimal digits",
			     path);
	creds->has_cid_key = ret == 0;
	free_file(&file);
	return ret;
}

const uint8_t *qs_tls_creds_cid_key(const struct qs_tls_creds *creds)
{
	return creds->has_cid_key ? creds->cid_key : NULL;
}

const uint8_t *qs_tls_creds_reset_secret(const struct qs_tls_creds *creds)
{
	return creds->reset_secret;
}

int qs_tls_creds_new(const struct qs_rule *rule, struct qs_tls_creds **out,
		     struct qs_tls_error *error)
{
	struct qs_tls_creds *creds = calloc(1, sizeof(*creds));
	int ret;

	*out = NULL;
	if (!creds)
		return no_memory(error);
	atomic_init(&creds->refs, 1);
	creds->listen = rule->listen;
	creds->require_client = rule->listen && rule->client_ca;
	if (gnutls_certificate_allocate_credentials(&creds->cert) < 0) {
		ret = no_memory(error);
		goto fail;
	}
	gnutls_certificate_set_verify_limits(creds->cert, KEY_BITS_MAX, CHAIN_MAX);
	ret = gnutls_priority_init(&creds->priority, cpu_has_aes() ? priority_aes : priority_plain,
				   NULL);
	if (ret < 0) {
		/* A system-wide crypto policy can forbid what QUIC needs. */
		creds->priority = NULL;
		ret = refuse(error, "TLS 1.3 cannot be set up on this system: %s",
			     gnutls_strerror(ret));
		goto fail;
	}

	if (rule->alpn && strlen(rule->alpn) > QS_TLS_ALPN_MAX) {
		ret = refuse(error, "alpn \"%.60s\": over %d bytes, which GnuTLS cannot send",
			     rule->alpn, QS_TLS_ALPN_MAX);
		goto fail;
	}
	if (rule->cert && rule->key) {
		ret = load_identity(creds, rule->cert, rule->key, error);
	} else if (rule->listen || rule->cert || rule->key) {
		ret = refuse(error, "a %s needs both a certificate and a private key",
			     rule->listen ? "listener" : "client certificate");
	}
	if (ret == 0 && rule->listen && rule->cid_key)
		ret = load_cid_key(creds, rule->cid_key, error);
	if (ret < 0)
		goto fail;
	if (!rule->listen)
		ret = load_trust(creds, rule->ca, "CA file", error);
	else if (rule->client_ca)
		ret = load_trust(creds, rule->client_ca, "client CA file", error);
	if (ret < 0)
		goto fail;
	*out = creds;
	return 0;
fail:
	qs_tls_creds_unref(creds);
	return ret;
}

struct qs_tls_creds *qs_tls_creds_ref(struct qs_tls_creds *creds)
{
	atomic_fetch_add_explicit(&creds->refs, 1, memory_order_relaxed);
	return creds;
}

void qs_tls_creds_unref(struct qs_tls_creds *creds)
{
	if (!creds || atomic_fetch_sub_explicit(&creds->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (creds->priority)
		gnutls_priority_deinit(creds->priority);
	if (creds->cert)
		gnutls_certificate_free_credentials(creds->cert);
	free(creds);
}
