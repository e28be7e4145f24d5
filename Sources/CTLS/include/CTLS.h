#pragma once
// TLS 1.3 (RFC 8446) for a server that asks for certificates, by libssl over memory: no socket, no file, no clock of its
// own. A session is one thread's at a time; a context may be shared.
#include <stddef.h>
#include <stdint.h>

enum { CH_TLS_FINGERPRINT_BYTES = 32 };

/// What is wrong with the parts of a context.
enum {
  CH_TLS_CERTIFICATE = 1,  // no certificate in PEM, or one that libssl does not take
  CH_TLS_KEY = 2,          // no private key in PEM without a passphrase
  CH_TLS_PAIR = 3,         // the key is not the certificate's
  CH_TLS_CLIENT_CA = 4,    // no certificate in PEM
  CH_TLS_LIBRARY = 5,      // libssl has not what is asked of it, or no memory
};

/// A subject alternative name's kind (RFC 5280 §4.2.1.6).
enum { CH_TLS_URI = 1, CH_TLS_DNS = 2 };

typedef struct {
  const void *certificates;  // PEM: the server's own, then those between it and its CA
  size_t certificates_count;
  const void *key;  // PEM
  size_t key_count;
  const void *client_ca;  // PEM: every CA whose clients may come
  size_t client_ca_count;
  const uint8_t *revoked;  // SHA-256 of certificates, in ascending order
  size_t revoked_count;
  /// Whether a name says who somebody is. A client's certificate has at least one, and at most `names_max`.
  int (*is_name)(int kind, const void *text, size_t count);
  size_t names_max;
} ch_tls_parts;

typedef struct ch_tls_context ch_tls_context;
typedef struct ch_tls_session ch_tls_session;

/// NULL with one of the numbers above.
ch_tls_context *ch_tls_open(const ch_tls_parts *parts, int *problem);
void ch_tls_close(ch_tls_context *context);
/// Until the server's own certificate ends; negative where it has.
long long ch_tls_own_seconds_left(const ch_tls_context *context);

ch_tls_session *ch_tls_begin(ch_tls_context *context);
void ch_tls_end(ch_tls_session *session);

/// Takes bytes that came in; 0, or -1 where there is no memory.
int ch_tls_feed(ch_tls_session *session, const void *bytes, size_t count);
/// Bytes that are to go out, and their taking.
size_t ch_tls_outgoing(const ch_tls_session *session);
size_t ch_tls_take(ch_tls_session *session, void *bytes, size_t capacity);

/// 1: done; 0: more has to come in; -1: refused, and `ch_tls_failure` says why.
int ch_tls_shake_hands(ch_tls_session *session);
/// Opened bytes; 0: more has to come in; -1: the other side has said that it ends; -2: broken.
long ch_tls_read(ch_tls_session *session, void *bytes, size_t capacity);
/// Seals bytes; 0, or -1 where it is broken.
int ch_tls_write(ch_tls_session *session, const void *bytes, size_t count);
/// Says that this side ends.
void ch_tls_say_goodbye(ch_tls_session *session);

/// Why it was refused, in libssl's words, which stay where they are.
const char *ch_tls_failure(ch_tls_session *session);

/// The certificates that were verified, the client's own first: their number, and the fingerprint of one.
size_t ch_tls_chain_count(ch_tls_session *session);
int ch_tls_chain_fingerprint(ch_tls_session *session, size_t place, uint8_t *digest);
/// The name at a place among the client's URIs and DNS names: its length, -1 behind the last; one that does not fit
/// comes as 0 bytes.
long ch_tls_name(ch_tls_session *session, size_t place, int *kind, void *text, size_t capacity);
/// Until the client's certificate ends.
long long ch_tls_seconds_left(ch_tls_session *session);

/// The SHA-256 of the one certificate in a PEM text; -1 where there is none.
int ch_tls_fingerprint(const void *pem, size_t count, uint8_t *digest);
