#include "sessions.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static int no_passphrase(char *text, int count, int is_writing, void *data) {
  (void)text, (void)count, (void)is_writing, (void)data;
  return -1;
}

static X509 *next_certificate(BIO *text) { return PEM_read_bio_X509(text, NULL, no_passphrase, NULL); }

/// Whether what stopped the reading of PEM is its end.
static int is_end_of_pem(void) {
  unsigned long error = ERR_peek_last_error();
  int is_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (is_end) ERR_clear_error();
  return is_end;
}

static int use_certificates(SSL_CTX *ssl, const void *pem, size_t count) {
  BIO *text = BIO_new_mem_buf(pem, (int)count);
  X509 *one = text ? next_certificate(text) : NULL;
  int ok = one != NULL && SSL_CTX_use_certificate(ssl, one) == 1;
  X509_free(one);
  while (ok && (one = next_certificate(text)) != NULL) {
    ok = SSL_CTX_add1_chain_cert(ssl, one) == 1;
    X509_free(one);
  }
  if (ok) ok = is_end_of_pem();
  BIO_free(text);
  return ok;
}

static int trust(SSL_CTX *ssl, const void *pem, size_t count) {
  BIO *text = BIO_new_mem_buf(pem, (int)count);
  X509_STORE *store = SSL_CTX_get_cert_store(ssl);
  size_t trusted = 0;
  int ok = text != NULL && store != NULL;
  for (X509 *one; ok && (one = next_certificate(text)) != NULL; trusted++) {
    ok = X509_STORE_add_cert(store, one) == 1;
    X509_free(one);
  }
  ok = ok && is_end_of_pem() && trusted > 0;
  BIO_free(text);
  return ok;
}

static EVP_PKEY *read_key(const void *pem, size_t count) {
  BIO *text = BIO_new_mem_buf(pem, (int)count);
  EVP_PKEY *key = text ? PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL) : NULL;
  BIO_free(text);
  return key;
}

static int fingerprint(const X509 *certificate, uint8_t *digest) {
  unsigned count = 0;
  return X509_digest(certificate, EVP_sha256(), digest, &count) == 1 && count == CH_TLS_FINGERPRINT_BYTES;
}

static int compare(const void *one, const void *other) { return memcmp(one, other, CH_TLS_FINGERPRINT_BYTES); }

static int is_revoked(const ch_tls_context *context, const X509 *certificate) {
  uint8_t digest[CH_TLS_FINGERPRINT_BYTES];
  if (!fingerprint(certificate, digest)) return 1;
  if (context->revoked_count == 0) return 0;
  return bsearch(digest, context->revoked, context->revoked_count, CH_TLS_FINGERPRINT_BYTES, compare) != NULL;
}

static int kind_of(const GENERAL_NAME *name) {
  return name->type == GEN_URI ? CH_TLS_URI : name->type == GEN_DNS ? CH_TLS_DNS : 0;
}

static int says_who(const ch_tls_context *context, X509 *certificate) {
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  size_t found = 0;
  for (int place = 0; place < sk_GENERAL_NAME_num(names); place++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, place);
    if (!kind_of(name)) continue;
    const ASN1_IA5STRING *text = name->d.ia5;
    found += context->is_name(kind_of(name), ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)) ? 1 : 0;
  }
  GENERAL_NAMES_free(names);
  return found > 0 && found <= context->names_max;
}

/// libssl's own verification (RFC 5280 §6, purpose sslclient), then what it leaves to us.
static int verify(X509_STORE_CTX *store, void *argument) {
  const ch_tls_context *context = argument;
  if (X509_verify_cert(store) != 1) return 0;
  const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
  for (int place = 0; place < sk_X509_num(chain); place++) {
    if (!is_revoked(context, sk_X509_value(chain, place))) continue;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED);
    return 0;
  }
  if (says_who(context, X509_STORE_CTX_get0_cert(store))) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

/// What is the same for every context. docs/decisions/0024-tcp-and-tls.md has the reasons.
static int settle(ch_tls_context *context) {
  static const unsigned char name[] = "chatelaine";
  SSL_CTX *ssl = context->ssl;
  SSL_CTX_set_security_level(ssl, 2);
  SSL_CTX_set_options(
    ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT |
           SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Buffers are given back, and so wiped, as soon as nothing is in them.
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(ssl, MAX_CERTIFICATE_BYTES);
  SSL_CTX_set_max_early_data(ssl, 0);
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  SSL_CTX_set_verify_depth(ssl, 8);
  SSL_CTX_set_cert_verify_callback(ssl, verify, context);
  return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_ciphersuites(
           ssl, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256") == 1 &&
         SSL_CTX_set1_groups_list(ssl, "X25519:P-256") == 1 && SSL_CTX_set_num_tickets(ssl, 0) == 1 &&
         SSL_CTX_set_session_id_context(ssl, name, sizeof name - 1) == 1;
}

static int fill(ch_tls_context *context, const ch_tls_parts *parts) {
  context->ssl = SSL_CTX_new(TLS_server_method());
  size_t count = parts->revoked_count * CH_TLS_FINGERPRINT_BYTES;
  context->revoked = malloc(count ? count : 1);
  if (!context->ssl || !context->revoked) return CH_TLS_LIBRARY;
  if (count) memcpy(context->revoked, parts->revoked, count);
  context->revoked_count = parts->revoked_count;
  context->is_name = parts->is_name;
  context->names_max = parts->names_max;
  if (!settle(context)) return CH_TLS_LIBRARY;
  if (!use_certificates(context->ssl, parts->certificates, parts->certificates_count)) return CH_TLS_CERTIFICATE;
  EVP_PKEY *key = read_key(parts->key, parts->key_count);
  if (!key) return CH_TLS_KEY;
  // The pair is looked at first: libssl would drop the certificate of another key.
  int is_pair = X509_check_private_key(SSL_CTX_get0_certificate(context->ssl), key) == 1;
  int is_used = is_pair && SSL_CTX_use_PrivateKey(context->ssl, key) == 1;
  EVP_PKEY_free(key);
  if (!is_used) return is_pair ? CH_TLS_KEY : CH_TLS_PAIR;
  return trust(context->ssl, parts->client_ca, parts->client_ca_count) ? 0 : CH_TLS_CLIENT_CA;
}

ch_tls_context *ch_tls_open(const ch_tls_parts *parts, int *problem) {
  ERR_clear_error();
  ch_tls_context *context = calloc(1, sizeof *context);
  *problem = context ? fill(context, parts) : CH_TLS_LIBRARY;
  ERR_clear_error();
  if (*problem == 0) return context;
  ch_tls_close(context);
  return NULL;
}

void ch_tls_close(ch_tls_context *context) {
  if (!context) return;
  SSL_CTX_free(context->ssl);
  free(context->revoked);
  free(context);
}

long long ch_tls_left(const X509 *certificate) {
  int days = 0, seconds = 0;
  if (!certificate || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1) return 0;
  return (long long)days * 86400 + seconds;
}

long long ch_tls_own_seconds_left(const ch_tls_context *context) {
  return ch_tls_left(SSL_CTX_get0_certificate(context->ssl));
}

size_t ch_tls_chain_count(ch_tls_session *session) {
  int count = sk_X509_num(SSL_get0_verified_chain(session->ssl));
  return count < 0 ? 0 : (size_t)count;
}

int ch_tls_chain_fingerprint(ch_tls_session *session, size_t place, uint8_t *digest) {
  if (place >= ch_tls_chain_count(session)) return -1;
  return fingerprint(sk_X509_value(SSL_get0_verified_chain(session->ssl), (int)place), digest) ? 0 : -1;
}

long ch_tls_name(ch_tls_session *session, size_t place, int *kind, void *text, size_t capacity) {
  X509 *certificate = SSL_get0_peer_certificate(session->ssl);
  GENERAL_NAMES *names = certificate ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;
  long result = -1;
  for (int at = 0; at < sk_GENERAL_NAME_num(names); at++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, at);
    if (!kind_of(name) || place-- > 0) continue;
    size_t count = (size_t)ASN1_STRING_length(name->d.ia5);
    *kind = kind_of(name);
    result = count <= capacity ? (long)count : 0;
    memcpy(text, ASN1_STRING_get0_data(name->d.ia5), (size_t)result);
    break;
  }
  GENERAL_NAMES_free(names);
  return result;
}

int ch_tls_fingerprint(const void *pem, size_t count, uint8_t *digest) {
  BIO *text = BIO_new_mem_buf(pem, (int)count);
  X509 *one = text ? next_certificate(text) : NULL;
  int ok = one != NULL && fingerprint(one, digest);
  X509_free(one);
  BIO_free(text);
  ERR_clear_error();
  return ok ? 0 : -1;
}
