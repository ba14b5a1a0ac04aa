// A connection prepared for the rules: its calls and segments by side, with the questions that rules ask of them.
// Not for other rooms.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "explain/finding.h"

namespace tcpwhy::explain {

using calls::Effect;
using timeline::Call;
using timeline::Connection;
using timeline::EventId;
using timeline::Segment;
using timeline::Side;
using timeline::Timeline;

struct SocketOption {
  std::uint64_t level, number;
};
inline constexpr SocketOption so_linger{SOL_SOCKET, SO_LINGER}, so_error{SOL_SOCKET, SO_ERROR},
    so_oobinline{SOL_SOCKET, SO_OOBINLINE};
inline constexpr SocketOption tcp_quickack{IPPROTO_TCP, TCP_QUICKACK}, tcp_cork{IPPROTO_TCP, TCP_CORK},
    tcp_nodelay{IPPROTO_TCP, TCP_NODELAY}, tcp_linger2{IPPROTO_TCP, TCP_LINGER2},
    tcp_user_timeout{IPPROTO_TCP, TCP_USER_TIMEOUT};

class Story {
 public:
  Story(const Timeline& whole, timeline::ConnectionIndex index);

  const Timeline& timeline;
  const Connection& connection;
  const timeline::ConnectionIndex index;

  [[nodiscard]] const std::string& name(Side side) const { return connection.sides[side].name; }
  [[nodiscard]] base::WallTime time(EventId id) const { return timeline.time_of(id); }
  // Who made the call: the end, or of several processes the one, with its pid where its name does not tell it from the others.
  [[nodiscard]] std::string caller(const Call& call) const;
  [[nodiscard]] const std::vector<const Call*>& calls(Side side) const { return calls_[side]; }
  [[nodiscard]] const std::vector<const Call*>& calls(Side side, Effect effect) const {
    return by_effect_[side][static_cast<std::size_t>(effect)];
  }
  // Those of them that were entered after one event and before another.
  [[nodiscard]] std::span<const Call* const> calls_between(Side side, Effect effect, EventId after,
                                                           EventId before) const;
  // What it does to the connection; a message that only carries its descriptor (SCM_RIGHTS) to another process does nothing.
  [[nodiscard]] static Effect effect(const Call& call);
  // strace's line; without a result if it never came back.
  [[nodiscard]] std::string line(const Call& call) const;

  // The return value; -1 and error() for a failure. A call that never came back has neither.
  [[nodiscard]] bool came_back(const Call& call) const { return call.returned.has_value(); }
  [[nodiscard]] bool succeeded(const Call& call) const;
  [[nodiscard]] bool failed_with(const Call& call, int error) const;
  [[nodiscard]] std::int64_t result(const Call& call) const;
  [[nodiscard]] const Call* call_at(EventId entered) const;

  // The first FIN and the first RST that this side sent.
  [[nodiscard]] const Segment* fin_of(Side side) const { return fin_[side]; }
  [[nodiscard]] const Segment* reset_of(Side side) const { return reset_[side]; }
  // When it reached the other side, if it did.
  [[nodiscard]] std::optional<base::WallTime> arrival(const Segment* segment) const;
  [[nodiscard]] bool arrived_before(const Segment* segment, base::WallTime when) const;
  // The first segment from `side` after that event which acknowledges everything up to the end of `of`.
  [[nodiscard]] const Segment* acknowledgment_of(const Segment& of) const;
  [[nodiscard]] bool caused_any(const Call& call) const;
  // Whether payload of this side left between two events.
  [[nodiscard]] bool sent_data_between(Side side, EventId after, EventId before) const;
  // Of the process of that number, on this side.
  [[nodiscard]] std::optional<EventId> first_call_of(Side side, std::int32_t pid) const;
  // The first call that ended this side's use of the socket: close(), or null.
  [[nodiscard]] const Call* closing_call(Side side) const;
  // The end of the last of the processes that made calls on this side's socket; nothing while one of them lives.
  [[nodiscard]] std::optional<EventId> end_of_process(Side side) const;
  // What left this side without a call of its own to close it, after its process had ended: the kernel's doing.
  [[nodiscard]] bool left_after_end_of_process(const Segment& segment) const;
  // It had called shutdown() for that direction.
  [[nodiscard]] bool shut_sending(Side side, base::WallTime before) const { return shutdown_of_sending(side, before); }
  [[nodiscard]] const Call* shutdown_of_sending(Side side, base::WallTime before) const;  // the first; null: none
  [[nodiscard]] bool shut_receiving(Side side, base::WallTime before) const;
  // Payload bytes that had reached `side` by then, and bytes that its calls had taken.
  [[nodiscard]] std::uint64_t bytes_arrived(Side side, base::WallTime by) const;
  // Absent: of some call it is not known (recvmmsg(), whose messages' lengths nobody took along).
  [[nodiscard]] std::optional<std::uint64_t> bytes_read(Side side, base::WallTime by) const;
  // Every call that reads this side's socket was seen, as far as is known: the one that made it was.
  [[nodiscard]] bool reads_are_known(Side side) const;
  // Bytes that calls had given to the kernel by then, and that had not left. Absent: of some call it is not known how much it gave.
  [[nodiscard]] std::optional<std::uint64_t> bytes_unsent(Side side, EventId by) const;
  // Those, and the bytes that had left and that the other side had not acknowledged.
  [[nodiscard]] std::uint64_t bytes_unacknowledged(Side side, EventId by) const;
  [[nodiscard]] tcp::State state(Side side, base::WallTime at) const;
  // The first event after `after` of a counter's move, in this side's namespace.
  [[nodiscard]] std::optional<EventId> counter_moved(std::string_view counter, Side side,
                                                     base::WallTime covering) const;
  [[nodiscard]] const std::vector<const Segment*>& segments(Side side) const { return segments_[side]; }
  // Payload bytes that a sending or receiving call moved; 0 if it failed, or only looked (MSG_PEEK).
  [[nodiscard]] std::uint64_t bytes_moved(const Call& call) const;
  // A receiving call that asked for some bytes and got none: what the end of the stream, an own shutdown(SHUT_RD) or an error taken before
  // looks like.
  [[nodiscard]] bool met_end(const Call& call) const;
  // The last successful setsockopt() of that option by this side before `when`; null: none.
  [[nodiscard]] const Call* option_set(Side side, const SocketOption& option, base::WallTime when) const;
  // The kernel's word on a segment: that it threw it away; the reset that it is (as its sender says).
  [[nodiscard]] std::optional<EventId> drop_of(const Segment& segment) const;
  [[nodiscard]] std::optional<EventId> reset_event_of(const Segment& segment) const;
  [[nodiscard]] bool calls_known() const { return calls_known_; }

 private:
  timeline::PerSide<std::vector<const Call*>> calls_;
  timeline::PerSide<std::array<std::vector<const Call*>, calls::effects>> by_effect_;
  timeline::PerSide<std::vector<const Segment*>> segments_;
  std::vector<EventId> causing_calls_;  // entries, sorted
  timeline::PerSide<std::vector<EventId>> data_departures_;
  timeline::PerSide<const Segment*> fin_, reset_;
  timeline::PerSide<const Call*> shut_sending_;                             // its first shutdown() that did
  timeline::PerSide<std::optional<base::WallTime>> shut_receiving_;         // when that was called
  mutable timeline::PerSide<std::map<std::int32_t, EventId>> first_calls_;  // by pid; found when first asked for
  bool calls_known_ = false;
};

// Puts findings together. `evidence` may hold invalid ids; they are left out.
class Findings {
 public:
  Finding& add(std::string_view rule, const Story& story, Grade grade, std::vector<EventId> evidence) {
    return add(rule, story.index, grade, std::move(evidence));
  }
  Finding& add(std::string_view rule, std::optional<timeline::ConnectionIndex> connection, Grade grade,
               std::vector<EventId> evidence);
  std::vector<Finding> take() { return std::move(findings_); }

 private:
  std::vector<Finding> findings_;
};

// What a side had done with its socket by an event after its FIN. The FIN alone says that it sends no more.
enum class Finish : std::uint8_t {
  not_known,     // closed it, or shut down sending
  shut,          // shut down sending; the program has it still
  closed,        //
  takes_no_more  // closed it, or shut down both directions: its kernel refused what came
};
Finish finish_of(const Story& story, Side side, EventId by);
// What follows its name: "had closed".
Text words_of(Finish finish);

// The close() that left no descriptor of the socket, as far as is known: the last one, behind all that this side called, and nothing else is
// known to have held it. Null: none, or its process ended instead.
const Call* last_close(const Story& story, Side side);

// What else referred to the socket when close() closed nothing, in words; observed: the kernel counted the references.
struct Sharing {
  bool observed = false;
  OwnedText others;
  std::vector<EventId> evidence;
};
Sharing sharing_of(const Story& story, const Call& close);
bool was_shared(const Story& story, const Call& close);  // Sharing::observed

// The latest fork of a process after its first call on that side's socket: the child holds the socket too. Who was forked before does not.
std::optional<EventId> fork_while_held(const Story& story, Side side, std::int32_t pid, EventId before);
// One of its threads has had descriptors of its own since then (unshare(CLONE_FILES)), beside those of the others: both hold the socket.
std::optional<EventId> unshared_while_held(const Story& story, Side side, std::int32_t pid, EventId before);

// RFC 9293 3.7.4: a segment that is full is never held back, nor is any where TCP_NODELAY is set.
bool fills_segment(const Story& story, const Segment& segment);
bool nagle_holds(const Story& story, const Segment& segment);

// How a process ended, as what follows "the process": "was killed by SIGKILL", "ended".
OwnedText how_ended(const Timeline& timeline, std::optional<EventId> end);

// Why the kernel threw it away: {reason}, {by}, {look} of its row (texts/drop_reasons.h), {where} it was.
void put_drop(Slots& slots, const recording::SegmentDropped& drop);

// What made a reset leave, in a sentence that begins with a blank: " It was its close(4), at handle server.c:42." Empty if not known.
struct Because {
  OwnedText text;
  std::vector<EventId> evidence;
};
Because because_of(const Story& story, const Segment& reset);
struct UnseenReset;
Because because_of(const Story& story, const UnseenReset& reset);

// A sending call that met the end of the connection: it returned EPIPE, or its process died of SIGPIPE before it could.
bool broke(const Story& story, const Call& call);

void find_opening(const Story& story, Findings& findings);
class AcceptQueues;
void find_connecting(const Story& story, const AcceptQueues& queues, Findings& findings);
// Of these, attempts to connect that came to nothing.
void find_attempts(const Story& story, bool queue_was_full, Findings& findings);
void find_giving_up(const Story& story, Findings& findings);
void find_holding(const Story& story, Findings& findings);
void find_acknowledging(const Story& story, Findings& findings);
void find_agreeing(const Story& story, Findings& findings);
void find_ports_again(const Timeline& timeline, Findings& findings);
// Calls that failed, of whatever connection or none.
void find_call_errors(const Timeline& timeline, Findings& findings);
void find_closing(const Story& story, Findings& findings);
void find_resets(const Story& story, Findings& findings);
void find_sending(const Story& story, Findings& findings);
void find_receiving(const Story& story, Findings& findings);
void find_signals(const Story& story, Findings& findings);

}  // namespace tcpwhy::explain
