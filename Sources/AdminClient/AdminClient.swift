package import ChatelaineClient
package import ChatelaineMessages
internal import Foundation
internal import SwiftProtobuf

/// The calls of `chatelaine.v1.AdminService`, typed, over a connection to the admin socket.
package struct AdminClient: Sendable {
  private static let service = "chatelaine.v1.AdminService"
  private let connection: ChatelaineConnection
  private let options: CallOptions

  /// Every call carries what `options` says of it.
  package init(_ connection: ChatelaineConnection, options: CallOptions = CallOptions()) {
    self.connection = connection
    self.options = options
  }

  package func status() async throws(ClientError) -> Chatelaine_V1_StatusResponse {
    let reply: Chatelaine_V1_StatusResponse = try await call("Status", Chatelaine_V1_StatusRequest())
    try Self.need(!reply.version.isEmpty && reply.processID > 0 && !reply.log.logID.isEmpty && !reply.keyringID.isEmpty)
    return reply
  }

  package func createTenant(_ tenant: String) async throws(ClientError) -> Chatelaine_V1_CreateTenantResponse
  {
    try await change(
      "CreateTenant",
      Chatelaine_V1_CreateTenantRequest.with {
        $0.tenant = tenant
      })
  }

  /// One page, from behind `after` on.
  package func listTenants(after: String = "") async throws(ClientError) -> Chatelaine_V1_ListTenantsResponse
  {
    let reply: Chatelaine_V1_ListTenantsResponse = try await call(
      "ListTenants",
      Chatelaine_V1_ListTenantsRequest.with {
        $0.after = after
      })
    try Self.need(reply.tenants.allSatisfy { !$0.id.isEmpty })
    return reply
  }

  package func createKey(
    _ key: String, of tenant: String, suite: Chatelaine_V1_Suite = .aes256Gcm
  ) async throws(ClientError) -> Chatelaine_V1_CreateKeyResponse {
    try await change(
      "CreateKey",
      Chatelaine_V1_CreateKeyRequest.with {
        $0.tenant = tenant
        $0.key = key
        $0.purpose = .seal
        $0.suite = suite
      })
  }

  /// One page, from behind `after` on.
  package func listKeys(
    of tenant: String, after: String = ""
  ) async throws(ClientError) -> Chatelaine_V1_ListKeysResponse {
    let reply: Chatelaine_V1_ListKeysResponse = try await call(
      "ListKeys",
      Chatelaine_V1_ListKeysRequest.with {
        $0.tenant = tenant
        $0.after = after
      })
    try Self.need(reply.keys.allSatisfy { !$0.name.isEmpty && $0.currentVersion > 0 })
    return reply
  }

  package func rotateKey(
    _ key: String, of tenant: String
  ) async throws(ClientError) -> Chatelaine_V1_RotateKeyResponse {
    let reply: Chatelaine_V1_RotateKeyResponse = try await change(
      "RotateKey",
      Chatelaine_V1_RotateKeyRequest.with {
        $0.tenant = tenant
        $0.key = key
      })
    try Self.need(reply.version > 0)
    return reply
  }

  package func freezeTenant(_ tenant: String) async throws(ClientError) -> Chatelaine_V1_FreezeTenantResponse {
    try await change("FreezeTenant", Chatelaine_V1_FreezeTenantRequest.with { $0.tenant = tenant })
  }

  package func unfreezeTenant(_ tenant: String) async throws(ClientError) -> Chatelaine_V1_UnfreezeTenantResponse {
    try await change("UnfreezeTenant", Chatelaine_V1_UnfreezeTenantRequest.with { $0.tenant = tenant })
  }

  package func enableKey(
    _ key: String, of tenant: String
  ) async throws(ClientError) -> Chatelaine_V1_EnableKeyResponse {
    try await change(
      "EnableKey",
      Chatelaine_V1_EnableKeyRequest.with {
        $0.tenant = tenant
        $0.key = key
      })
  }

  package func disableKey(
    _ key: String, of tenant: String
  ) async throws(ClientError) -> Chatelaine_V1_DisableKeyResponse {
    try await change(
      "DisableKey",
      Chatelaine_V1_DisableKeyRequest.with {
        $0.tenant = tenant
        $0.key = key
      })
  }

  package func rotateMaster(
    singleCopy: Bool
  ) async throws(ClientError) -> Chatelaine_V1_RotateMasterResponse {
    let reply: Chatelaine_V1_RotateMasterResponse = try await change(
      "RotateMaster",
      Chatelaine_V1_RotateMasterRequest.with {
        $0.singleCopy = singleCopy
      })
    try Self.need(reply.version > 0)
    return reply
  }

  /// `keyCheckValue` is 32 bytes.
  package func commitMaster(
    _ keyCheckValue: [UInt8]
  ) async throws(ClientError) -> Chatelaine_V1_CommitMasterResponse {
    try await change(
      "CommitMaster",
      Chatelaine_V1_CommitMasterRequest.with {
        $0.keyCheckValue = Data(keyCheckValue)
      })
  }

  package func masterStatus() async throws(ClientError) -> Chatelaine_V1_MasterStatusResponse {
    let reply: Chatelaine_V1_MasterStatusResponse = try await call("MasterStatus", Chatelaine_V1_MasterStatusRequest())
    try Self.need(!reply.versions.isEmpty && reply.versions.allSatisfy { $0.version > 0 })
    return reply
  }

  package func retireMaster(
    _ version: UInt32
  ) async throws(ClientError) -> Chatelaine_V1_RetireMasterResponse {
    try await change(
      "RetireMaster",
      Chatelaine_V1_RetireMasterRequest.with {
        $0.version = version
      })
  }

  /// An empty message is well-formed whatever it stands for: what no service leaves out has to be there.
  private static func need(_ isThere: Bool) throws(ClientError) {
    guard isThere else {
      throw ClientError(.malformedReply, "The reply lacks what every service says: something else answers there.")
    }
  }

  private func call<Request: Attributed, Response: Message>(
    _ method: String, _ request: Request
  ) async throws(ClientError) -> Response {
    let options = self.options.named
    var request = request
    request.attribution = .with {
      if let id = options.requestID { $0.requestID = Data(id.bytes) }
      $0.actor = options.actor
      $0.purpose = options.purpose
    }
    let payload: [UInt8]
    do { payload = try request.serializedBytes() } catch {
      throw ClientError(.invalidRequest, "The request cannot be written as a message.")
    }
    let bytes = try await connection.call(
      service: Self.service, method: method, payload: payload, options: options)
    do { return try Response(serializedBytes: bytes) } catch {
      throw ClientError(.malformedReply, "The reply is not one of this method: update this program.")
    }
  }

  /// A change whose reply has no receipt may have been done, but not by a service that notes it.
  private func change<Response: Receipted>(
    _ method: String, _ request: some Attributed
  ) async throws(ClientError) -> Response {
    let reply: Response = try await call(method, request)
    guard reply.hasReceipt, !reply.receipt.logID.isEmpty, !reply.receipt.leafHash.isEmpty else {
      throw ClientError(.malformedReply, "The reply has no receipt, so nothing says that the log has the change.")
    }
    return reply
  }
}

/// A reply that says where the log has what was done.
private protocol Receipted: Message {
  var hasReceipt: Bool { get }
  var receipt: Chatelaine_V1_Receipt { get }
}

extension Chatelaine_V1_CreateTenantResponse: Receipted {}
extension Chatelaine_V1_FreezeTenantResponse: Receipted {}
extension Chatelaine_V1_UnfreezeTenantResponse: Receipted {}
extension Chatelaine_V1_CreateKeyResponse: Receipted {}
extension Chatelaine_V1_RotateKeyResponse: Receipted {}
extension Chatelaine_V1_EnableKeyResponse: Receipted {}
extension Chatelaine_V1_DisableKeyResponse: Receipted {}
extension Chatelaine_V1_RotateMasterResponse: Receipted {}
extension Chatelaine_V1_CommitMasterResponse: Receipted {}
extension Chatelaine_V1_RetireMasterResponse: Receipted {}

/// A request that carries what its caller says of it.
private protocol Attributed: Message {
  var attribution: Chatelaine_V1_Attribution { get set }
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
extension Chatelaine_V1_RotateMasterRequest: Attributed {}
extension Chatelaine_V1_CommitMasterRequest: Attributed {}
extension Chatelaine_V1_MasterStatusRequest: Attributed {}
extension Chatelaine_V1_RetireMasterRequest: Attributed {}
