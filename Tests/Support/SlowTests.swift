internal import Glibc

/// Whether the slow kinds of tests run too.
package let runsSlowTests = unsafe getenv("CHATELAINE_SLOW") != nil
