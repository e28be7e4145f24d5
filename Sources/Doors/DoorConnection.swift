internal import ChatelaineAuditLog
internal import ChatelaineKeyService
internal import NIOCore

/// One caller's socket, whatever it speaks: what an event loop and a door's entrance know of it.
protocol DoorConnection: AnyObject, SendableMetatype {
  init(limits: DoorLimits)
  /// Refusals that get no entry of their own are counted, and noted together.
  var noteRefusal: (UnnotedRefusal) -> Void { get set }
  /// The last request was small and no part of the next is here: its caller waits, as far as one can tell.
  var isAwaited: Bool { get }

  /// Puts itself, and what it needs beside it, into a channel's pipeline.
  func join(_ pipeline: ChannelPipeline.SynchronousOperations) throws
  /// Refuses the connection as a whole, as soon as it is open.
  func turnAway(because sentence: String)
  /// What a call waited for is here: goes on where it stopped.
  func resume()
  /// Whether this is the first reply since the last flush.
  func touch() -> Bool
  func flush()
  /// Takes no further request, and closes once the last reply is out.
  func finish()
  func closeNow()
}

/// Replies of one connection that wait for the log.
protocol LoopTurn: AnyObject {
  var sender: any DoorConnection { get }
  /// Entries that were handed to the log for it.
  var entryCount: Int { get }
  /// Sends the replies: their entries are the receipt's at `first` and those behind it.
  func release(_ receipt: borrowing AuditReceipt, from first: Int)
  /// Tells the caller that nothing was noted, so nothing is given.
  func refuse(_ error: ServiceError)
}
