internal import ChatelaineEnvelopes
internal import ChatelaineAuditTrail
internal import ChatelaineAuditLog
internal import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import ChatelaineMessages
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation
internal import SwiftProtobuf

/// The methods of `chatelaine.v1.AdminService`: messages to use cases and back.
struct AdminActs: Sendable {
  enum Method: String, CaseIterable {
    case status = "Status"
    case createTenant = "CreateTenant"
    case listTenants = "ListTenants"
    case freezeTenant = "FreezeTenant"
    case unfreezeTenant = "UnfreezeTenant"
    case createKey = "CreateKey"
    case listKeys = "ListKeys"
    case rotateKey = "RotateKey"
    case enableKey = "EnableKey"
    case disableKey = "DisableKey"
    case rotateMaster = "RotateMaster"
    case commitMaster = "CommitMaster"
    case masterStatus = "MasterStatus"
    case retireMaster = "RetireMaster"
  }

  enum Answer: Sendable {
    case reply([UInt8])
    case refusal(WireStatus, UnnotedRefusal?)
  }

  static let service = Array("chatelaine.v1.AdminService".utf8)

  let service: KeyService
  /// What the process and its doors add to status.
  let facts: @Sendable () -> StatusFacts

  func run(_ method: Method, _ payload: [UInt8], by caller: Caller) -> Answer {
    do {
      switch method {
      case .status: return try answer(payload, Chatelaine_V1_StatusRequest.self, by: caller, status)
      case .createTenant: return try answer(payload, Chatelaine_V1_CreateTenantRequest.self, by: caller, createTenant)
      case .listTenants: return try answer(payload, Chatelaine_V1_ListTenantsRequest.self, by: caller, listTenants)
      case .freezeTenant: return try answer(payload, Chatelaine_V1_FreezeTenantRequest.self, by: caller, freezeTenant)
      case .unfreezeTenant:
        return try answer(payload, Chatelaine_V1_UnfreezeTenantRequest.self, by: caller, unfreezeTenant)
      case .createKey: return try answer(payload, Chatelaine_V1_CreateKeyRequest.self, by: caller, createKey)
      case .listKeys: return try answer(payload, Chatelaine_V1_ListKeysRequest.self, by: caller, listKeys)
      case .rotateKey: return try answer(payload, Chatelaine_V1_RotateKeyRequest.self, by: caller, rotateKey)
      case .enableKey: return try answer(payload, Chatelaine_V1_EnableKeyRequest.self, by: caller, enableKey)
      case .disableKey: return try answer(payload, Chatelaine_V1_DisableKeyRequest.self, by: caller, disableKey)
      case .rotateMaster: return try answer(payload, Chatelaine_V1_RotateMasterRequest.self, by: caller, rotateMaster)
      case .commitMaster: return try answer(payload, Chatelaine_V1_CommitMasterRequest.self, by: caller, commitMaster)
      case .masterStatus: return try answer(payload, Chatelaine_V1_MasterStatusRequest.self, by: caller, masterStatus)
      case .retireMaster: return try answer(payload, Chatelaine_V1_RetireMasterRequest.self, by: caller, retireMaster)
      }
    } catch {
      let fault = error as? CallFault ?? .malformed
      return .refusal(WireStatus(fault, requestID: RequestTags().requestID), UnnotedRefusal(fault))
    }
  }

  struct Asked {
    let caller: Caller
    let tags: RequestTags
  }

  private func answer<Request: Attributed, Reply: Message>(
    _ payload: [UInt8], _: Request.Type, by caller: Caller, _ act: (Request, Asked) throws -> Reply
  ) throws -> Answer {
    try checkOnce(payload)
    let request = try Request(serializedBytes: payload)
    for rest in [request.unknownFields, request.attribution.unknownFields] where !rest.data.isEmpty {
      throw CallFault.unknownField(fieldNumber(rest.data))
    }
    var tags = try RequestTags(request.attribution)
    let noted = NotedEntry()
    tags.noted = noted
    do {
      return .reply([UInt8](try act(request, Asked(caller: caller, tags: tags)).serializedData()))
    } catch let error as ServiceError {
      let receipt = noted.last.map { WireReceipt($0, in: service.logHead.epoch) }
      return .refusal(WireStatus(error, requestID: tags.requestID, receipt: receipt), nil)
    }
  }

  // MARK: Acts

  private func createTenant(
    _ request: Chatelaine_V1_CreateTenantRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_CreateTenantResponse {
    let entry = try service.createTenant(tenant(request.tenant), by: asked.caller, asked.tags)
    return .with { $0.receipt = receipt(entry) }
  }

  private func listTenants(
    _ request: Chatelaine_V1_ListTenantsRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_ListTenantsResponse {
    let after = request.after.isEmpty ? nil : try tenant(request.after)
    let page = try service.tenants(after: after, limit: Self.pageLimit(request.limit), by: asked.caller, asked.tags)
    return .with {
      $0.next = page.next?.rawValue ?? ""
      $0.tenants = page.rows.map { row in
        .with {
          $0.id = row.id.rawValue
          $0.createdUnixNs = row.created.nanoseconds
          $0.masterVersion = row.wrappedRoot?.wrappingKey.version ?? 0
          $0.frozen = row.state == .frozen
        }
      }
    }
  }

  private func freezeTenant(
    _ request: Chatelaine_V1_FreezeTenantRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_FreezeTenantResponse {
    let entry = try service.setTenantState(
      isFrozen: true, tenant(request.tenant), by: asked.caller, asked.tags)
    return .with { $0.receipt = receipt(entry) }
  }

  private func unfreezeTenant(
    _ request: Chatelaine_V1_UnfreezeTenantRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_UnfreezeTenantResponse {
    let entry = try service.setTenantState(
      isFrozen: false, tenant(request.tenant), by: asked.caller, asked.tags)
    return .with { $0.receipt = receipt(entry) }
  }

  private func createKey(
    _ request: Chatelaine_V1_CreateKeyRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_CreateKeyResponse {
    guard request.purpose == .unspecified || request.purpose == .seal else { throw CallFault.malformed }
    let suite = try suite(request.suite)
    let entry = try service.createKey(
      key(request.key), of: tenant(request.tenant), suite: suite, by: asked.caller, asked.tags)
    return .with { $0.receipt = receipt(entry) }
  }

  private func listKeys(
    _ request: Chatelaine_V1_ListKeysRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_ListKeysResponse {
    let after = request.after.isEmpty ? nil : try key(request.after)
    let page = try service.keys(
      of: tenant(request.tenant), after: after, limit: Self.pageLimit(request.limit), by: asked.caller, asked.tags)
    return .with {
      $0.keys = page.rows.map(Self.message)
      $0.next = page.next?.rawValue ?? ""
    }
  }

  private static func pageLimit(_ asked: UInt32) -> Int {
    asked == 0 ? Limits.listPageMax : min(Int(asked), Limits.listPageMax)
  }

  private static func message(_ row: TenantKeyRow) -> Chatelaine_V1_Key {
    .with {
      $0.name = row.name.rawValue
      $0.keyID = Data(row.id.bytes)
      $0.purpose = row.purpose == .seal ? .seal : .unspecified
      switch row.suite {
      case .aes256GCM: $0.suite = .aes256Gcm
      case .xchacha20Poly1305: $0.suite = .xchacha20Poly1305
      case nil: $0.suite = .unspecified
      }
      $0.enabled = row.state == .enabled
      $0.currentVersion = row.currentVersion
      $0.floorVersion = row.floorVersion
      $0.createdUnixNs = row.created.nanoseconds
    }
  }

  private func rotateKey(
    _ request: Chatelaine_V1_RotateKeyRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_RotateKeyResponse {
    let version = try service.rotateKey(key(request.key), of: tenant(request.tenant), by: asked.caller, asked.tags)
    return .with {
      $0.version = version
      if let entry = asked.tags.noted?.last { $0.receipt = receipt(entry) }
    }
  }

  private func enableKey(
    _ request: Chatelaine_V1_EnableKeyRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_EnableKeyResponse {
    let entry = try service.setKeyState(
      .enabled, key(request.key), of: tenant(request.tenant), by: asked.caller, asked.tags)
    return .with { $0.receipt = receipt(entry) }
  }

  private func disableKey(
    _ request: Chatelaine_V1_DisableKeyRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_DisableKeyResponse {
    let entry = try service.setKeyState(
      .disabled, key(request.key), of: tenant(request.tenant), by: asked.caller, asked.tags)
    return .with { $0.receipt = receipt(entry) }
  }

  private func status(
    _: Chatelaine_V1_StatusRequest, _ asked: Asked
  ) throws -> Chatelaine_V1_StatusResponse {
    facts().message(of: try service.status(by: asked.caller, asked.tags))
  }

  // MARK: Parts

  private func tenant(_ text: String) throws(CallFault) -> TenantID {
    do throws(InvalidName) { return try TenantID(text) } catch { throw .tenant }
  }

  private func key(_ text: String) throws(CallFault) -> KeyName {
    do throws(InvalidName) { return try KeyName(text) } catch { throw .key }
  }

  private func suite(_ suite: Chatelaine_V1_Suite) throws(CallFault) -> Suite {
    switch suite {
    case .unspecified, .aes256Gcm: .aes256GCM
    case .xchacha20Poly1305: .xchacha20Poly1305
    case .UNRECOGNIZED: throw .malformed
    }
  }

  func receipt(_ entry: AppendedEntry) -> Chatelaine_V1_Receipt {
    let epoch = service.logHead.epoch
    return .with {
      $0.logID = Data(epoch.logID.bytes)
      $0.epoch = epoch.epoch
      $0.sequence = entry.sequence
      $0.leafHash = Data(entry.leafHash.bytes)
    }
  }
}

extension WireReceipt {
  init(_ entry: AppendedEntry, in epoch: EpochDescriptor) {
    self.init(logID: epoch.logID, epoch: epoch.epoch, sequence: entry.sequence, leafHash: entry.leafHash)
  }
}

/// Refuses a field that is given twice, of the request or of its attribution: no message of this door repeats any, and
/// of two values an auditor would see one.
private func checkOnce(_ payload: [UInt8]) throws(CallFault) {
  let bytes = payload.span
  var ranges = [0..<payload.count]
  while let range = ranges.popLast() {
    var seen: Set<Int> = []
    var reader = ProtobufReader(range)
    while let field = try next(&reader, bytes) {
      guard seen.insert(field.number).inserted else { throw .duplicateField(field.number) }
      let isWhole = range == 0..<payload.count
      if isWhole, field.number == attributionField, case .bytes(let inner) = field.value { ranges.append(inner) }
    }
  }
}

/// Of every request.
private let attributionField = 8

private func next(_ reader: inout ProtobufReader, _ bytes: Span<UInt8>) throws(CallFault) -> ProtobufField? {
  do throws(MalformedBytes) { return try reader.next(bytes) } catch { throw .malformed }
}

/// The number of the first field of a message; 0 where there is none.
private func fieldNumber(_ message: Data) -> Int {
  let bytes = [UInt8](message)
  var reader = ProtobufReader(0..<bytes.count)
  return ((try? reader.next(bytes.span)) ?? nil)?.number ?? 0
}

/// A request with an attribution.
protocol Attributed: Message {
  var attribution: Chatelaine_V1_Attribution { get }
}

extension Chatelaine_V1_StatusRequest: Attributed {}
extension Chatelaine_V1_CreateTenantRequest: Attributed {}
extension Chatelaine_V1_ListTenantsRequest: Attributed {}
extension Chatelaine_V1_FreezeTenantRequest: Attributed {}
extension Chatelaine_V1_UnfreezeTenantRequest: Attributed {}
extension Chatelaine_V1_CreateKeyRequest: Attributed {}
extension Chatelaine_V1_ListKeysRequest: Attributed {}
extension Chatelaine_V1_RotateKeyRequest: Attributed {}
extension Chatelaine_V1_EnableKeyRequest: Attributed {}
extension Chatelaine_V1_DisableKeyRequest: Attributed {}

extension RequestTags {
  fileprivate init(_ attribution: Chatelaine_V1_Attribution) throws(CallFault) {
    let (actor, purpose) = (Array(attribution.actor.utf8), Array(attribution.purpose.utf8))
    guard actor.count <= Limits.callerTextBytesMax, purpose.count <= Limits.callerTextBytesMax else {
      throw .callerTextTooLong
    }
    let id = [UInt8](attribution.requestID)
    guard id.isEmpty || id.count == Identifier.byteCount else { throw .requestID }
    var cursor = ByteCursor()
    let given = id.isEmpty ? nil : try? cursor.identifier(id.span)
    guard given != .zero else { throw .requestID }
    self.init(requestID: given, actor: actor, purpose: purpose)
  }
}

extension UnnotedRefusal {
  init(_ fault: CallFault) { self = fault.code == .limitExceeded ? .limit : .malformed }
}
