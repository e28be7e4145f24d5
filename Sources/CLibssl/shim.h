#pragma once
// OpenSSL 3 libssl: TLS to other hosts, for the commands that talk to them. Never part of the service.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
