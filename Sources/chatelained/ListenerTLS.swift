internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineDoors
internal import ChatelaineExits
internal import ChatelaineSecretMemory
internal import ChatelaineTLS

extension Chatelained {
  /// What the TLS of each door on TCP is made of, by the door's name: all of it read and checked, or none.
  func readTLS(_ settings: ServiceConfiguration) throws -> [String: TLSContext] {
    var contexts: [String: TLSContext] = [:]
    for (name, listener) in settings.listeners { contexts[name] = try TLSContext(listener.tls) }
    return contexts
  }

  /// Doors on TCP, bound: an address that cannot be had is seen before the log has an entry of this start.
  func bindListeners(_ settings: ServiceConfiguration, _ contexts: [String: TLSContext]) throws(Failure) -> [TCPDoor] {
    var doors: [TCPDoor] = []
    for (name, listener) in settings.listeners {
      guard let context = contexts[name] else { continue }
      let address = listener.address
      do throws(DoorError) {
        let socket = try TCPSocket(host: address.host, port: address.port, isIPv6: address.isIPv6)
        doors.append(TCPDoor(name == "http-tcp" ? .http : .data, TLSGate(name, context), socket))
      } catch { throw Failure(error) }
    }
    return doors
  }

  func reloadTLS(_ settings: ServiceConfiguration, _ doors: Doors, _ facts: Facts) {
    guard !settings.listeners.isEmpty else { return }
    do {
      let closed = doors.replaceTLS(try readTLS(settings))
      facts.noteTLS(refusedBecause: nil)
      tellOperator("certificates reloaded", [("closed", "\(closed)")])
    } catch {
      let refusal = Failure(error)?.sentence ?? "\(error)"
      facts.noteTLS(refusedBecause: refusal)
      tellOperator("certificates not reloaded, the old ones stay", [("why", refusal)])
    }
  }
}

extension TLSContext {
  fileprivate convenience init(_ files: ServiceConfiguration.TLSFiles) throws {
    let certificates = try ConfigurationFile.read(files.certificate)
    let clientCA = try ConfigurationFile.read(files.clientCA)
    let key = try SecretFile.read(files.key)
    let list = try files.revoked.map { try ConfigurationFile.read($0, bytesMax: Revoked.bytesMax) }
    do throws(TLSFault) {
      try self.init(certificates: certificates, key: key, clientCA: clientCA, revoked: Revoked(list ?? []))
    } catch { throw Failure(.configuration, "\(printable(files.path(of: error))): \(error.sentence)") }
  }
}

extension ServiceConfiguration.TLSFiles {
  /// The file that a fault is about.
  fileprivate func path(of fault: TLSFault) -> String {
    switch fault {
    case .certificate, .library: certificate
    case .key, .pair: key
    case .clientCA: clientCA
    case .revoked: revoked ?? ""
    }
  }
}
