internal import ChatelaineVocabulary

/// What a client stores that seals data by itself: a wrapped data key, then the envelope under it.
///
///       0 148 wrapped key of kind 5     148 96+n envelope of kind 2, its key id that of the wrapped key
package struct LocalEnvelope: Equatable, Sendable {
  package static let overheadByteCount = WrappedKey.byteCount + Envelope.overheadByteCount

  /// Why bytes are not a local envelope.
  package enum Malformed: Error, Equatable {
    case tooShort
    case wrappedKey(WrappedKey.Malformed)
    case wrappedKeyIsNoDataKey
    case envelope(Envelope.Malformed)
    case envelopeIsOfNoDataKey
    case keyIDsDiffer
  }

  package let wrappedKey: WrappedKey
  package let header: Envelope.Header

  /// Parses; the envelope's own bytes are those from `WrappedKey.byteCount` on.
  package init(_ bytes: Span<UInt8>) throws(Malformed) {
    guard bytes.count >= Self.overheadByteCount else { throw .tooShort }
    do throws(WrappedKey.Malformed) {
      wrappedKey = try WrappedKey(bytes.extracting(0..<WrappedKey.byteCount))
    } catch { throw .wrappedKey(error) }
    guard wrappedKey.kind == .dataKey else { throw .wrappedKeyIsNoDataKey }
    do throws(Envelope.Malformed) {
      header = try Envelope.parseHeader(bytes.extracting(WrappedKey.byteCount...))
    } catch { throw .envelope(error) }
    guard header.kind == .dataKey else { throw .envelopeIsOfNoDataKey }
    guard header.key.id == wrappedKey.key.id else { throw .keyIDsDiffer }
  }
}
