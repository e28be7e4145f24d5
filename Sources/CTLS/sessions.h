#pragma once
#include "CTLS.h"

#include <openssl/ssl.h>

enum {
  // Of what a client sends to say who it is.
  MAX_CERTIFICATE_BYTES = 32 << 10,
  RECORD_BYTES = 16 << 10,
};

struct ch_tls_context {
  SSL_CTX *ssl;
  uint8_t *revoked;
  size_t revoked_count;
  int (*is_name)(int kind, const void *text, size_t count);
  size_t names_max;
};

struct ch_tls_session {
  SSL *ssl;
  BIO *in, *out;  // the SSL's own
  uint64_t records;
};

long long ch_tls_left(const X509 *certificate);
