#pragma once
// SHA-256, SHA-512 and HMAC-SHA-512 over plain, copyable state structs; and others' signatures, verified.
//
// OpenSSL 3 keeps EVP hash states on its own heap and takes 456 ns for an HMAC; the SHA*_CTX structs
// are 216 bytes, can live in locked memory and be copied. They are deprecated, not removed: this
// file is the one place that names them.
#include <stddef.h>
#include <stdint.h>

#define CH_SHA256_STATE_BYTES 112
// What two key blocks leave: eight words each.
#define CH_HMAC_SHA512_STATE_BYTES 128

/// A running SHA-256 (FIPS 180-4). The layout is SHA256_CTX's.
typedef struct { uint64_t opaque[CH_SHA256_STATE_BYTES / 8]; } ch_sha256;

void ch_sha256_begin(ch_sha256 *state);
void ch_sha256_add(ch_sha256 *state, const void *bytes, size_t count);
void ch_sha256_end(ch_sha256 *state, uint8_t digest[32]);

/// SHA-256 of `prefix` (one byte, or none if negative) and up to two parts, in one call.
void ch_sha256_once(int prefix, const void *a, size_t a_count, const void *b, size_t b_count,
                    uint8_t digest[32]);

/// Keys `state` (CH_HMAC_SHA512_STATE_BYTES, 8-byte aligned) for HMAC-SHA-512 (RFC 2104, FIPS 198-1).
void ch_hmac_sha512_prepare(void *state, const void *key, size_t key_count);

/// HMAC-SHA-512 of four parts under a prepared state, which stays as it is.
void ch_hmac_sha512(const void *state, const void *a, size_t a_count, const void *b, size_t b_count,
                    const void *c, size_t c_count, const void *d, size_t d_count, uint8_t mac[64]);

/// Erases in a way that the compiler keeps.
void ch_erase(void *bytes, size_t count);

/// Whether `signature` is one of `message` by RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017), under a key of big-endian numbers.
int ch_rsa_sha256_is_valid(const uint8_t *modulus, size_t modulus_count, const uint8_t *exponent, size_t exponent_count,
                           const uint8_t *signature, size_t signature_count, const uint8_t *message,
                           size_t message_count);

/// Whether 0x04 and two coordinates are a point of P-256.
int ch_p256_is_key(const uint8_t point[65]);

/// Whether r and s, 32 bytes each, are an ECDSA signature of `message` with SHA-256 under that point (FIPS 186-5).
int ch_p256_sha256_is_valid(const uint8_t point[65], const uint8_t signature[64], const uint8_t *message,
                            size_t message_count);
