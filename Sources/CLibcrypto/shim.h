#pragma once
// OpenSSL 3 libcrypto: AES-256-GCM and Ed25519 through EVP. The hashes come through CPrimitives.
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
