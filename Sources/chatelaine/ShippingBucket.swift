internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineOutside
internal import ChatelainePrimitives
internal import ChatelaineVocabulary
internal import Glibc

/// A bucket of an S3 server with Object Lock: each object is locked in compliance mode, which nobody lifts, the account's
/// owner included, before its time.
final class ShippingBucket: ShippingPlace {
  /// What one PUT may have.
  private static let objectBytesMax: UInt64 = 5 << 30
  private static let emptyHash = SHA256.hash([]).hex

  struct Place {
    let endpoint: WebAddress
    let region: String
    let bucket: String
    /// With a slash at its end, or empty.
    let prefix: String
    /// New objects are kept until then.
    let retainUntil: WallTime
    /// Objects that are there must be kept until then.
    let retainedAtLeast: WallTime
    let trust: String?
  }

  private let place: Place
  private let credentials: AWSCredentials

  init(_ place: Place, _ credentials: consuming AWSCredentials) {
    self.place = place
    self.credentials = credentials
  }

  func ship(_ shipment: Shipment) throws -> Bool {
    guard shipment.byteCount <= Self.objectBytesMax else {
      throw failure(shipment, .data, "more than 5 GiB, which one object cannot have: ship to a directory, or make segments smaller")
    }
    let digest = try shipment.digest()
    if try isThere(shipment, digest) { return false }
    let answer = try put(shipment, digest)
    // why: 412 is said where somebody put it there since; what it is, is seen below.
    guard answer.status == 200 || answer.status == 412 else { throw refusal(shipment, answer) }
    guard try isThere(shipment, digest) else { throw failure(shipment, .protocolFault, "it is not there after it was put there") }
    return true
  }

  /// Whether the object is there with exactly these bytes, and locked for long enough; throws where not.
  private func isThere(_ shipment: Shipment, _ digest: Digest) throws -> Bool {
    let answer = try ask("HEAD", shipment, [("x-amz-checksum-mode", "ENABLED")], Self.emptyHash, nil, seconds: 60)
    if answer.status == 404 { return false }
    guard answer.status == 200 else { throw refusal(shipment, answer) }
    guard let checksum = answer["x-amz-checksum-sha256"] else {
      throw failure(shipment, .protocolFault, "the server does not tell its SHA-256 checksum, so nobody knows what is there")
    }
    guard checksum == Base64.encode(digest.bytes), answer["content-length"] == "\(shipment.byteCount)" else {
      throw failure(
        shipment, .data,
        "it is there with other bytes, and was left alone: either it or the log's file was changed, or the log's was rewritten since")
    }
    guard answer["x-amz-object-lock-mode"] == "COMPLIANCE",
      let until = answer["x-amz-object-lock-retain-until-date"].flatMap(WallTime.init(rfc3339:))
    else { throw failure(shipment, .data, "it is there and not locked in compliance mode: lock it, or ship to another prefix") }
    guard until >= place.retainedAtLeast else {
      throw failure(shipment, .data, "it is there and locked until \(until.rfc3339) only: extend its retention")
    }
    return true
  }

  private func put(_ shipment: Shipment, _ digest: Digest) throws -> HTTPAnswer {
    var offset: UInt64 = 0
    let body = HTTPRequest.Body(byteCount: Int(shipment.byteCount)) { () throws(OutsideError) in
      do throws(LogError) {
        let piece = try shipment.piece(at: offset)
        offset += UInt64(piece.count)
        return piece[...]
      } catch { throw .source }
    }
    let headers = [
      ("if-none-match", "*"), ("x-amz-checksum-sha256", Base64.encode(digest.bytes)), ("x-amz-object-lock-mode", "COMPLIANCE"),
      ("x-amz-object-lock-retain-until-date", place.retainUntil.rfc3339.prefix(19) + "Z"), ("x-amz-sdk-checksum-algorithm", "SHA256"),
    ]
    let seconds = 60 + Int(shipment.byteCount / 50_000)
    return try ask("PUT", shipment, headers, digest.hex, body, seconds: seconds)
  }

  private func ask(
    _ method: String, _ shipment: Shipment, _ more: [(String, String)], _ hash: String, _ body: HTTPRequest.Body?, seconds: Int
  ) throws -> HTTPAnswer {
    let path = "/\(place.bucket)/\(place.prefix)\(shipment.name)"
    let signature = AWSSignature(region: place.region, time: Self.time(wallSeconds()))
    var headers: [(name: String, value: String)] = more.map { ($0.0, $0.1) }
    headers += [("x-amz-content-sha256", hash), ("x-amz-date", signature.time)]
    if let token = credentials.token { headers.append(("x-amz-security-token", token)) }
    let signed = headers + [("host", place.endpoint.authority)]
    let authorization = signature.authorization(
      method, path: place.endpoint.path + path, headers: signed, payloadHash: hash, by: credentials)
    headers.append(("authorization", authorization))
    let request = HTTPRequest(method, place.endpoint, path: path, headers: headers, body: body)
    do throws(OutsideError) {
      return try request.send(by: Deadline(seconds: seconds), trust: place.trust, bodyBytesMax: 65_536)
    } catch { throw failure(shipment, .unavailable, "\(place.endpoint.authority): \(error.words)") }
  }

  /// `yyyyMMddTHHmmssZ`.
  private static func time(_ seconds: UInt64) -> String {
    let text = WallTime(nanoseconds: seconds * 1_000_000_000).rfc3339
    return String(text.prefix(19).filter { $0 != "-" && $0 != ":" }) + "Z"
  }

  // MARK: Refusals

  private func refusal(_ shipment: Shipment, _ answer: HTTPAnswer) -> Failure {
    let text = String(decoding: answer.body, as: UTF8.self)
    let code = text.firstMatch(of: /<Code>([A-Za-z0-9.]{1,100})<\/Code>/).map { ", \($0.1)" } ?? ""
    let status: ExitStatus = answer.status == 403 || answer.status == 401 ? .noPermission : .unavailable
    return failure(shipment, status, "the server refuses it (\(answer.status)\(code))")
  }

  private func failure(_ shipment: Shipment, _ status: ExitStatus, _ what: String) -> Failure {
    Failure(status, "s3://\(place.bucket)/\(place.prefix)\(shipment.name): \(what)")
  }
}
