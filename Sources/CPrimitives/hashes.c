#define _DEFAULT_SOURCE
#define OPENSSL_SUPPRESS_DEPRECATED
#include "CPrimitives.h"

#include <openssl/sha.h>
#include <string.h>

_Static_assert(sizeof(SHA256_CTX) == CH_SHA256_STATE_BYTES, "SHA256_CTX changed its size");
_Static_assert(2 * sizeof(SHA512_CTX) == CH_HMAC_SHA512_STATE_BYTES, "SHA512_CTX changed its size");

void ch_sha256_begin(ch_sha256 *state) { SHA256_Init((SHA256_CTX *)state); }

void ch_sha256_add(ch_sha256 *state, const void *bytes, size_t count) {
  if (count) SHA256_Update((SHA256_CTX *)state, bytes, count);
}

void ch_sha256_end(ch_sha256 *state, uint8_t digest[32]) {
  SHA256_Final(digest, (SHA256_CTX *)state);
}

void ch_sha256_once(int prefix, const void *a, size_t a_count, const void *b, size_t b_count,
                    uint8_t digest[32]) {
  SHA256_CTX state;
  SHA256_Init(&state);
  if (prefix >= 0) {
    uint8_t byte = (uint8_t)prefix;
    SHA256_Update(&state, &byte, 1);
  }
  if (a_count) SHA256_Update(&state, a, a_count);
  if (b_count) SHA256_Update(&state, b, b_count);
  SHA256_Final(digest, &state);
}

// why: libcrypto's block functions leave the words of the last block on the stack, plain but for public constants.
// Called where the function that hashed was, so that its frame is covered.
__attribute__((noinline)) static void erase_dead_stack(void) {
  uint8_t frame[4096];
  ch_erase(frame, sizeof frame);
}

void ch_hmac_sha512_prepare(void *prepared, const void *key, size_t key_count) {
  SHA512_CTX *state = prepared;
  uint8_t block[SHA512_CBLOCK] = {0};
  if (key_count > sizeof block) {
    SHA512_CTX long_key;
    SHA512_Init(&long_key);
    SHA512_Update(&long_key, key, key_count);
    SHA512_Final(block, &long_key);
    ch_erase(&long_key, sizeof long_key);
  } else if (key_count) {
    memcpy(block, key, key_count);
  }
  for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36;
  SHA512_Init(&state[0]);
  SHA512_Update(&state[0], block, sizeof block);
  for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
  SHA512_Init(&state[1]);
  SHA512_Update(&state[1], block, sizeof block);
  ch_erase(block, sizeof block);
  erase_dead_stack();
}

void ch_hmac_sha512(const void *prepared, const void *a, size_t a_count, const void *b, size_t b_count,
                    const void *c, size_t c_count, const void *d, size_t d_count, uint8_t mac[64]) {
  const SHA512_CTX *state = prepared;
  SHA512_CTX work = state[0];
  if (a_count) SHA512_Update(&work, a, a_count);
  if (b_count) SHA512_Update(&work, b, b_count);
  if (c_count) SHA512_Update(&work, c, c_count);
  if (d_count) SHA512_Update(&work, d, d_count);
  SHA512_Final(mac, &work);
  work = state[1];
  SHA512_Update(&work, mac, 64);
  SHA512_Final(mac, &work);
  ch_erase(&work, sizeof work);
}

void ch_erase(void *bytes, size_t count) {
  if (count) explicit_bzero(bytes, count);
}
