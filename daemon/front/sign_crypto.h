/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libcrypto for sign, beside common/err.h: both have an ERR_STATE. */
#ifndef DBSNAP_FRONT_SIGN_CRYPTO_H
#define DBSNAP_FRONT_SIGN_CRYPTO_H

#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#undef ERR_STATE

#endif
