#define _DEFAULT_SOURCE
#define OPENSSL_SUPPRESS_DEPRECATED
#include "CPrimitives.h"

#include <openssl/sha.h>
#include <string.h>

_Static_assert(sizeof(SHA256_CTX) == CH_SHA256_STATE_BYTES, "SHA256_CTX changed its size");
_Static_assert(2 * sizeof(((SHA512_CTX *)0)->h) == CH_HMAC_SHA512_STATE_BYTES, "SHA512_CTX changed its words");

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

// The eight words of a state, as bytes.
static void put_words(const SHA_LONG64 words[8], uint8_t bytes[64]) {
  for (int i = 0; i < 8; i++) {
    SHA_LONG64 word = __builtin_bswap64(words[i]);
    memcpy(bytes + 8 * i, &word, 8);
  }
}

// Ends a block of `count` bytes, at most 111, behind one block that was hashed before it (FIPS 180-4 §5.1.2).
static void pad(uint8_t block[SHA512_CBLOCK], size_t count) {
  memset(block + count, 0, SHA512_CBLOCK - count);
  block[count] = 0x80;
  SHA_LONG64 bits = __builtin_bswap64(8 * (SHA512_CBLOCK + count));
  memcpy(block + SHA512_CBLOCK - 8, &bits, 8);
}

static const size_t one_block_max = SHA512_CBLOCK - 17;

// The state of the first block of an HMAC, its key block.
static void key_block(SHA512_CTX *work, const uint8_t key[SHA512_CBLOCK], uint8_t mask, SHA_LONG64 words[8]) {
  uint8_t block[SHA512_CBLOCK];
  for (size_t i = 0; i < sizeof block; i++) block[i] = key[i] ^ mask;
  SHA512_Init(work);
  SHA512_Transform(work, block);
  memcpy(words, work->h, 64);
  ch_erase(block, sizeof block);
}

void ch_hmac_sha512_prepare(void *prepared, const void *key, size_t key_count) {
  SHA_LONG64 *state = prepared;
  SHA512_CTX work;
  uint8_t block[SHA512_CBLOCK] = {0};
  if (key_count > sizeof block) {
    SHA512_Init(&work);
    SHA512_Update(&work, key, key_count);
    SHA512_Final(block, &work);
  } else if (key_count) {
    memcpy(block, key, key_count);
  }
  key_block(&work, block, 0x36, state);
  key_block(&work, block, 0x5c, state + 8);
  ch_erase(&work, sizeof work);
  ch_erase(block, sizeof block);
  erase_dead_stack();
}

typedef struct { const void *bytes; size_t count; } part;

// The inner hash of what fits one block behind the key's: a quarter less time than SHA512_Update and SHA512_Final.
static void inner_short(SHA512_CTX *work, uint8_t block[SHA512_CBLOCK], const part parts[4], size_t count) {
  size_t at = 0;
  for (int i = 0; i < 4; i++) {
    if (parts[i].count) memcpy(block + at, parts[i].bytes, parts[i].count);
    at += parts[i].count;
  }
  pad(block, count);
  SHA512_Transform(work, block);
  put_words(work->h, block);
}

static void inner_long(SHA512_CTX *work, uint8_t block[SHA512_CBLOCK], const part parts[4]) {
  for (int i = 0; i < 4; i++)
    if (parts[i].count) SHA512_Update(work, parts[i].bytes, parts[i].count);
  SHA512_Final(block, work);
}

void ch_hmac_sha512(const void *prepared, const void *a, size_t a_count, const void *b, size_t b_count,
                    const void *c, size_t c_count, const void *d, size_t d_count, uint8_t mac[64]) {
  const SHA_LONG64 *state = prepared;
  const part parts[4] = {{a, a_count}, {b, b_count}, {c, c_count}, {d, d_count}};
  const size_t count = a_count + b_count + c_count + d_count;
  uint8_t block[SHA512_CBLOCK];
  SHA512_CTX work = {.Nl = 8 * SHA512_CBLOCK, .md_len = SHA512_DIGEST_LENGTH};
  memcpy(work.h, state, 64);
  if (count <= one_block_max) inner_short(&work, block, parts, count);
  else inner_long(&work, block, parts);
  memcpy(work.h, state + 8, 64);
  pad(block, 64);
  SHA512_Transform(&work, block);
  put_words(work.h, mac);
  ch_erase(&work, sizeof work);
  ch_erase(block, sizeof block);
}

void ch_erase(void *bytes, size_t count) {
  if (count) explicit_bzero(bytes, count);
}
