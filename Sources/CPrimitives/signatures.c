// Others' signatures, verified: keys come as numbers, and live for one verification.
#include "CPrimitives.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

// Takes the parameters; NULL where they are no key.
static EVP_PKEY *public_key(const char *type, OSSL_PARAM *params) {
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *context = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
  if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
      EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
    key = NULL;
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(params);
  return key;
}

// Takes the key.
static int is_valid(EVP_PKEY *key, const uint8_t *signature, size_t signature_count, const uint8_t *message,
                    size_t message_count) {
  EVP_MD_CTX *context = key ? EVP_MD_CTX_new() : NULL;
  int valid = context && EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(context, signature, signature_count, message, message_count) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return valid;
}

int ch_rsa_sha256_is_valid(const uint8_t *modulus, size_t modulus_count, const uint8_t *exponent, size_t exponent_count,
                           const uint8_t *signature, size_t signature_count, const uint8_t *message,
                           size_t message_count) {
  BIGNUM *n = BN_bin2bn(modulus, (int)modulus_count, NULL), *e = BN_bin2bn(exponent, (int)exponent_count, NULL);
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM *params = NULL;
  if (n && e && builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e))
    params = OSSL_PARAM_BLD_to_param(builder);
  OSSL_PARAM_BLD_free(builder);
  BN_free(n);
  BN_free(e);
  // The padding is PKCS #1 v1.5, libcrypto's default for RSA keys.
  return is_valid(public_key("RSA", params), signature, signature_count, message, message_count);
}

static EVP_PKEY *p256_key(const uint8_t point[65]) {
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM *params = NULL;
  if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
      OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 65))
    params = OSSL_PARAM_BLD_to_param(builder);
  OSSL_PARAM_BLD_free(builder);
  return public_key("EC", params);
}

int ch_p256_is_key(const uint8_t point[65]) {
  EVP_PKEY *key = p256_key(point);
  EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
  int valid = context && EVP_PKEY_public_check(context) == 1;
  EVP_PKEY_CTX_free(context);
  EVP_PKEY_free(key);
  return valid;
}

int ch_p256_sha256_is_valid(const uint8_t point[65], const uint8_t signature[64], const uint8_t *message,
                            size_t message_count) {
  ECDSA_SIG *pair = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(signature, 32, NULL), *s = BN_bin2bn(signature + 32, 32, NULL);
  uint8_t *der = NULL;
  int count = 0;
  if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
    r = s = NULL; // the pair's now
    count = i2d_ECDSA_SIG(pair, &der);
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(pair);
  int valid = count > 0 && is_valid(p256_key(point), der, (size_t)count, message, message_count);
  OPENSSL_free(der);
  return valid;
}
