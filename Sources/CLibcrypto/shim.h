#pragma once
// OpenSSL 3 libcrypto: AES-256-GCM, Ed25519 and others' signatures through EVP. The hashes come through CPrimitives.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

/// The macro's value, which Swift does not see.
static const int CH_EVP_PUBLIC_KEY = EVP_PKEY_PUBLIC_KEY;
