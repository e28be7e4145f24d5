internal import ChatelaineConfiguration
internal import ChatelaineExits

/// Refuses directories in which others could put something in the place of a socket, of the key store or of a certificate: the log and the
/// keyring have stricter rules of their own.
func checkPlaces(_ settings: ServiceConfiguration) throws(Failure) {
  let places =
    settings.sockets.map(\.path) + [settings.store] + (settings.log.signingKey.map { [$0] } ?? [])
    + settings.listeners.flatMap(\.listener.tls.paths)
  for path in places {
    try checkNobodyElseWrites(in: directoryAbove(path), forbidden: 0o022)
  }
}

/// The directory that a file lies in.
func directoryAbove(_ path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}
