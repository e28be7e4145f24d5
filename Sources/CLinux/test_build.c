#include "CLinux.h"

// Builds for tests leave a protection out on purpose, to show what it is good for: CHATELAINE_TEST_BUILD in
// Package.swift. They open no keyring but the example's, and say what they are.

const char *ch_test_build(void) {
  return ""
#ifdef CHATELAINE_TEST_READABLE
         " readable-secrets"
#endif
#ifdef CHATELAINE_TEST_UNWIPED
         " nothing-wiped"
#endif
#ifdef CHATELAINE_TEST_BACKTRACED
         " crashes-backtraced"
#endif
#ifdef CHATELAINE_TEST_UNLOGGED
         " nothing-logged"
#endif
      ;
}
