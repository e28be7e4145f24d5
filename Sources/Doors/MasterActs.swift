internal import ChatelaineCustody
internal import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import ChatelaineMessages
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation
internal import SwiftProtobuf

/// The master key's methods of the admin door.
extension AdminActs {
  func rotateMaster(
    _ request: Chatelaine_V1_RotateMasterRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_RotateMasterResponse {
    let new = try service.rotateMaster(singleCopy: request.singleCopy, by: asked.caller, asked.tags)
    return .with {
      $0.version = new.version
      $0.file = new.file
      $0.primary = new.isPrimary
      $0.receipt = receipt(new.entry)
    }
  }

  func commitMaster(
    _ request: Chatelaine_V1_CommitMasterRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_CommitMasterResponse {
    let bytes = [UInt8](request.keyCheckValue)
    guard bytes.count == Digest.byteCount else { throw CallFault.malformed }
    let done = try service.commitMaster(Digest(bytes.span), by: asked.caller, asked.tags)
    return .with {
      $0.version = done.version
      $0.receipt = receipt(done.entry)
    }
  }

  func masterStatus(
    _: Chatelaine_V1_MasterStatusRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_MasterStatusResponse {
    let status = try service.masterStatus(by: asked.caller, asked.tags)
    return .with {
      $0.versions = status.versions.map(\.message)
      $0.tenantRoots = UInt64(status.roots)
      if let rotation = status.rotation { $0.rotation = Self.message(rotation, status.stalledBy) }
    }
  }

  func retireMaster(
    _ request: Chatelaine_V1_RetireMasterRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_RetireMasterResponse {
    let done = try service.retireMaster(request.version, by: asked.caller, asked.tags)
    return .with {
      $0.file = done.file
      $0.receipt = receipt(done.entry)
    }
  }

  private static func message(
    _ rotation: RotationRow, _ stall: ServiceError?
  ) -> Chatelaine_V1_MasterStatusResponse.Rotation {
    .with {
      $0.version = rotation.version
      $0.startedUnixNs = rotation.started.nanoseconds
      $0.finishedUnixNs = rotation.finished?.nanoseconds ?? 0
      $0.rewrapped = rotation.rewrapped
      $0.stalled = stall?.sentence ?? ""
    }
  }
}

extension MasterStatus.Version {
  fileprivate var message: Chatelaine_V1_MasterStatusResponse.Version {
    .with {
      $0.version = version
      $0.state = state.message
      $0.keyCheckValue = Data(keyCheckValue?.bytes ?? [])
      $0.seal = sealWord
      $0.createdUnixNs = created.nanoseconds
      $0.tenantRoots = UInt64(roots)
      $0.safeToRetire = isSafeToRetire
      $0.file = fault?.word ?? ""
      $0.problem = fault?.sentence ?? ""
    }
  }

  /// Empty where the keyring does not have it.
  var sealWord: String {
    switch seal {
    case .file: "file"
    case .passphrase: "passphrase"
    case nil: ""
    }
  }
}

extension MasterStatus.State {
  var message: Chatelaine_V1_MasterState {
    switch self {
    case .primary: .primary
    case .inUse: .inUse
    case .pending: .pending
    case .retired: .retired
    case .unknown: .unknown
    }
  }
}

extension Chatelaine_V1_RotateMasterRequest: Attributed {}
extension Chatelaine_V1_CommitMasterRequest: Attributed {}
extension Chatelaine_V1_MasterStatusRequest: Attributed {}
extension Chatelaine_V1_RetireMasterRequest: Attributed {}
