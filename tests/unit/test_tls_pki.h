/* SPDX-License-Identifier: MIT */
/* Certificates for test_tls.c, made by GnuTLS in a folder of their own under /tmp. */
#ifndef QS_TEST_TLS_PKI_H
#define QS_TEST_TLS_PKI_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY (24 * 60 * 60)

struct pki_cert {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
};

/* What a leaf says; zero means the usual. */
struct pki_leaf {
	const char *dns; /* NULL: none */
	const char *address;
	const char *purpose; /* NULL: a TLS server */
	int from_days, to_days; /* relative to now; 0: -2, 30 */
	unsigned rsa_bits; /* 0: an ECDSA P-256 key */
};

static char pki_dir[] = "/tmp/quicshim-test-tls-XXXXXX";
static char pki_files[48][96];
static unsigned pki_n_files, pki_serial;

#define PKI_OK(call)                                                                               \
	do {                                                                                       \
		int pki_rv = (call);                                                               \
		if (pki_rv < 0) {                                                                  \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,              \
				gnutls_strerror(pki_rv));                                          \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* The path of a file in the folder; a new one is remembered and removed at the end. */
static const char *pki_path(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", pki_dir, name);
	for (unsigned i = 0; i < pki_n_files; i++)
		if (strcmp(pki_files[i], path) == 0)
			return pki_files[i];
	if (pki_n_files == sizeof(pki_files) / sizeof(pki_files[0])) {
		fprintf(stderr, "too many files\n");
		exit(1);
	}
	return strcpy(pki_files[pki_n_files++], path);
}

static const char *pki_write(const char *name, const void *bytes, size_t len, bool append)
{
	const char *path = pki_path(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0600);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len) {
		perror(path);
		exit(1);
	}
	close(fd);
	return path;
}

static const char *pki_write_crt(const char *name, gnutls_x509_crt_t crt, bool append)
{
	gnutls_datum_t pem;
	const char *path;

	PKI_OK(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem));
	path = pki_write(name, pem.data, pem.size, append);
	gnutls_free(pem.data);
	return path;
}

static const char *pki_write_key(const char *name, gnutls_x509_privkey_t key, const char *password)
{
	gnutls_datum_t pem;
	const char *path;

	PKI_OK(gnutls_x509_privkey_export2_pkcs8(
		key, GNUTLS_X509_FMT_PEM, password,
		password ? GNUTLS_PKCS_PBES2_AES_256 : GNUTLS_PKCS_PLAIN, &pem));
	path = pki_write(name, pem.data, pem.size, false);
	gnutls_free(pem.data);
	return path;
}

static void pki_start(struct pki_cert *cert, const char *cn, unsigned rsa_bits, time_t from,
		      time_t to)
{
	unsigned char serial[4];

	pki_serial++;
	for (unsigned i = 0; i < 4; i++)
		serial[i] = (unsigned char)(pki_serial >> (24 - 8 * i));
	serial[0] |= 1;
	PKI_OK(gnutls_x509_privkey_init(&cert->key));
	PKI_OK(gnutls_x509_privkey_generate(
		cert->key, rsa_bits ? GNUTLS_PK_RSA : GNUTLS_PK_ECDSA,
		rsa_bits ? rsa_bits : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	PKI_OK(gnutls_x509_crt_init(&cert->crt));
	PKI_OK(gnutls_x509_crt_set_version(cert->crt, 3));
	PKI_OK(gnutls_x509_crt_set_serial(cert->crt, serial, sizeof(serial)));
	PKI_OK(gnutls_x509_crt_set_key(cert->crt, cert->key));
	PKI_OK(gnutls_x509_crt_set_dn_by_oid(cert->crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn,
					     (unsigned)strlen(cn)));
	PKI_OK(gnutls_x509_crt_set_activation_time(cert->crt, from));
	PKI_OK(gnutls_x509_crt_set_expiration_time(cert->crt, to));
}

/* An authority; signed by `issuer`, or by itself if that is NULL. */
static void pki_authority(struct pki_cert *cert, const struct pki_cert *issuer, const char *cn)
{
	time_t now = time(NULL);

	pki_start(cert, cn, 0, now - 10 * DAY, now + 300 * DAY);
	PKI_OK(gnutls_x509_crt_set_basic_constraints(cert->crt, 1, -1));
	PKI_OK(gnutls_x509_crt_set_key_usage(cert->crt,
					     GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN));
	PKI_OK(gnutls_x509_crt_sign2(cert->crt, issuer ? issuer->crt : cert->crt,
				     issuer ? issuer->key : cert->key, GNUTLS_DIG_SHA256, 0));
}

static void pki_issue(struct pki_cert *cert, const struct pki_cert *issuer,
		      const struct pki_leaf *leaf)
{
	const char *purpose = leaf->purpose ? leaf->purpose : GNUTLS_KP_TLS_WWW_SERVER;
	unsigned char bytes[16];
	time_t now = time(NULL);

	pki_start(cert, "test leaf", leaf->rsa_bits,
		  now + (leaf->from_days ? leaf->from_days : -2) * (time_t)DAY,
		  now + (leaf->to_days ? leaf->to_days : 30) * (time_t)DAY);
	PKI_OK(gnutls_x509_crt_set_basic_constraints(cert->crt, 0, -1));
	PKI_OK(gnutls_x509_crt_set_key_usage(cert->crt, GNUTLS_KEY_DIGITAL_SIGNATURE));
	PKI_OK(gnutls_x509_crt_set_key_purpose_oid(cert->crt, purpose, 0));
	if (leaf->dns)
		PKI_OK(gnutls_x509_crt_set_subject_alt_name(cert->crt, GNUTLS_SAN_DNSNAME,
							    leaf->dns, (unsigned)strlen(leaf->dns),
							    GNUTLS_FSAN_APPEND));
	if (leaf->address) {
		bool four = inet_pton(AF_INET, leaf->address, bytes) == 1;

		if (!four && inet_pton(AF_INET6, leaf->address, bytes) != 1)
			exit(1);
		PKI_OK(gnutls_x509_crt_set_subject_alt_name(cert->crt, GNUTLS_SAN_IPADDRESS, bytes,
							    four ? 4 : 16, GNUTLS_FSAN_APPEND));
	}
	PKI_OK(gnutls_x509_crt_sign2(cert->crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0));
}

static void pki_end(struct pki_cert *cert)
{
	gnutls_x509_crt_deinit(cert->crt);
	gnutls_x509_privkey_deinit(cert->key);
}

/* Writes NAME.pem and NAME.key. */
static void pki_leaf_files(const char *name, const struct pki_cert *issuer,
			   const struct pki_leaf *leaf)
{
	struct pki_cert cert;
	char file[64];

	pki_issue(&cert, issuer, leaf);
	snprintf(file, sizeof(file), "%s.pem", name);
	pki_write_crt(file, cert.crt, false);
	snprintf(file, sizeof(file), "%s.key", name);
	pki_write_key(file, cert.key, NULL);
	pki_end(&cert);
}

/* Makes all files that the tests name. */
static int pki_setup(void **state)
{
	static const struct pki_leaf server = {.dns = "db.example.com", .address = "192.0.2.1"};
	struct pki_cert ca, other_ca, middle, leaf;

	(void)state;
	if (!mkdtemp(pki_dir))
		return -1;
	pki_authority(&ca, NULL, "test CA");
	pki_authority(&other_ca, NULL, "another CA");
	pki_authority(&middle, &ca, "test intermediate");
	pki_write_crt("ca.pem", ca.crt, false);
	pki_write_crt("other-ca.pem", other_ca.crt, false);

	pki_leaf_files("server", &ca, &server);
	pki_leaf_files("server6", &ca, &(struct pki_leaf){.address = "2001:db8::1"});
	pki_leaf_files("other", &other_ca, &server);
	pki_leaf_files("expired", &ca,
		       &(struct pki_leaf){.dns = "db.example.com", .from_days = -9, .to_days = -1});
	pki_leaf_files("early", &ca, &(struct pki_leaf){.dns = "db.example.com", .from_days = 1});
	pki_leaf_files("weak", &ca, &(struct pki_leaf){.dns = "db.example.com", .rsa_bits = 1024});
	pki_leaf_files("client", &ca, &(struct pki_leaf){.purpose = GNUTLS_KP_TLS_WWW_CLIENT});
	pki_leaf_files("foreigner", &other_ca,
		       &(struct pki_leaf){.purpose = GNUTLS_KP_TLS_WWW_CLIENT});

	pki_issue(&leaf, &middle, &server);
	pki_write_crt("chain.pem", leaf.crt, false);
	pki_write_crt("chain.pem", middle.crt, true);
	pki_write_key("chain.key", leaf.key, NULL);
	pki_write_key("locked.key", leaf.key, "secret");
	pki_end(&leaf);
	pki_end(&middle);
	pki_end(&other_ca);
	pki_end(&ca);
	return 0;
}

static int pki_teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < pki_n_files; i++)
		unlink(pki_files[i]);
	return rmdir(pki_dir);
}

#endif
