#pragma once
// libsodium: XChaCha20-Poly1305, Argon2id.
#include <sodium.h>
