#include "sessions.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>

// Far below what a key may seal (RFC 8446 §5.5: 2^24.5 records of AES-GCM): then both sides take new keys.
static const uint64_t records_of_one_key = 1 << 22;

ch_tls_session *ch_tls_begin(ch_tls_context *context) {
  ch_tls_session *session = calloc(1, sizeof *session);
  if (!session) return NULL;
  session->ssl = SSL_new(context->ssl);
  session->in = BIO_new(BIO_s_mem());
  session->out = BIO_new(BIO_s_mem());
  if (!session->ssl || !session->in || !session->out) {
    SSL_free(session->ssl);
    BIO_free(session->in);
    BIO_free(session->out);
    free(session);
    return NULL;
  }
  // Nothing here is not the end: more comes.
  BIO_set_mem_eof_return(session->in, -1);
  SSL_set_bio(session->ssl, session->in, session->out);
  SSL_set_accept_state(session->ssl);
  return session;
}

void ch_tls_end(ch_tls_session *session) {
  if (!session) return;
  SSL_free(session->ssl);
  free(session);
}

int ch_tls_feed(ch_tls_session *session, const void *bytes, size_t count) {
  size_t written = 0;
  if (count == 0) return 0;
  return BIO_write_ex(session->in, bytes, count, &written) == 1 && written == count ? 0 : -1;
}

size_t ch_tls_outgoing(const ch_tls_session *session) { return BIO_ctrl_pending(session->out); }

size_t ch_tls_take(ch_tls_session *session, void *bytes, size_t capacity) {
  size_t count = 0;
  return capacity > 0 && BIO_read_ex(session->out, bytes, capacity, &count) == 1 ? count : 0;
}

int ch_tls_shake_hands(ch_tls_session *session) {
  ERR_clear_error();
  int result = SSL_do_handshake(session->ssl);
  if (result == 1) return 1;
  return SSL_get_error(session->ssl, result) == SSL_ERROR_WANT_READ ? 0 : -1;
}

long ch_tls_read(ch_tls_session *session, void *bytes, size_t capacity) {
  size_t count = 0;
  ERR_clear_error();
  if (SSL_read_ex(session->ssl, bytes, capacity, &count) == 1) return (long)count;
  switch (SSL_get_error(session->ssl, 0)) {
    case SSL_ERROR_WANT_READ: return 0;
    case SSL_ERROR_ZERO_RETURN: return -1;
    default: return -2;
  }
}

int ch_tls_write(ch_tls_session *session, const void *bytes, size_t count) {
  const char *next = bytes;
  while (count > 0) {
    size_t written = 0, piece = count < RECORD_BYTES ? count : RECORD_BYTES;
    ERR_clear_error();
    if (++session->records % records_of_one_key == 0) SSL_key_update(session->ssl, SSL_KEY_UPDATE_REQUESTED);
    if (SSL_write_ex(session->ssl, next, piece, &written) != 1) return -1;
    next += written;
    count -= written;
  }
  return 0;
}

void ch_tls_say_goodbye(ch_tls_session *session) {
  ERR_clear_error();
  SSL_shutdown(session->ssl);
  ERR_clear_error();
}

const char *ch_tls_failure(ch_tls_session *session) {
  long verdict = SSL_get_verify_result(session->ssl);
  if (verdict == X509_V_ERR_APPLICATION_VERIFICATION)
    return "its certificate has no SPIFFE URI and no DNS name, or too many";
  if (verdict != X509_V_OK) return X509_verify_cert_error_string(verdict);
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  return reason ? reason : "this is no TLS";
}

long long ch_tls_seconds_left(ch_tls_session *session) {
  return ch_tls_left(SSL_get0_peer_certificate(session->ssl));
}
