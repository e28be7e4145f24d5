#pragma once
// OpenSSL 3 libssl: TLS to other hosts for the commands that talk to them, and in CTLS for the service's doors on TCP.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
