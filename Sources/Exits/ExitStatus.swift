/// What a shell learns: the numbers of sysexits.h. 64, for the command line itself, comes from the parser too.
package enum ExitStatus: Int32, Sendable {
  case usage = 64
  case data = 65
  case noInput = 66
  case unavailable = 69
  /// A fault of the service's own.
  case software = 70
  case cannotCreate = 73
  case inputOutput = 74
  /// Somebody else is using it, or there was no answer in time.
  case busy = 75
  /// What came is no reply.
  case protocolFault = 76
  case noPermission = 77
  case configuration = 78
}

extension ExitStatus {
  /// Of a file that is there and cannot be read, in every command: what a permission forbids is not the disk's fault.
  package init(readingFailedWith errno: Int32) {
    self = errno == 13 || errno == 1 ? .noPermission : .inputOutput  // EACCES, EPERM
  }
}
