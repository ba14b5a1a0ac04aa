#include "explain/ending.h"

#include <algorithm>
#include <cerrno>

#include "explain/story.h"

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;
using timeline::other;
using timeline::Trigger;

constexpr std::string_view kind_names[] = {"open",    "half-closed", "in order", "reset",
                                           "refused", "given up",    "failed",   "not known"};

void say_who(const Story& story, const Segment& segment, Ending& ending) {
  ending.first = segment.from;
  ending.process_ended = segment.cause.trigger == Trigger::process_end ||
                         (segment.cause.trigger != Trigger::call && story.left_after_end_of_process(segment));
  if (segment.cause.trigger != Trigger::call || !segment.cause.by) return;
  if (const Call* call = story.call_at(*segment.cause.by)) ending.call = story.timeline.entered(*call).name;
}

// The error that the kernel, or else a call, reported first to either side.
std::optional<std::pair<Side, int>> first_error(const Story& story, std::initializer_list<int> wanted) {
  for (const auto& kernel : story.connection.kernel)
    if (const auto* error = std::get_if<recording::SocketError>(&story.timeline.event(kernel.event).what))
      if (std::ranges::count(wanted, error->error) > 0) return std::pair(kernel.side, error->error);
  for (const Side side : {opener, listener})
    for (const Call* call : story.calls(side))
      if (const auto* returned = story.timeline.returned(*call))
        if (returned->result < 0 && std::ranges::count(wanted, returned->error) > 0)
          return std::pair(side, returned->error);
  return std::nullopt;
}

// When a side's FIN left, by what the kernels say of either side's state (RFC 9293, figure 5); a program that is not traced has no call
// that says it. The change of state that shows it; null: none does.
const timeline::SideChange* fin_by_states(const Story& story, Side side) {
  using enum tcp::State;
  for (const auto& change : story.connection.changes) {
    const bool sends = change.side == side && (change.to == fin_wait_1 || change.to == last_ack);
    const bool receives =
        change.side == other(side) && (change.to == close_wait || change.to == closing || change.to == time_wait);
    if (sends || receives) return &change;
  }
  return nullptr;
}

// What a close sent is in no packet here: a FIN, a RST because something was unread, or nothing because somebody else holds the socket
// too. What shows it all the same: the kernels' word, errors, and who has read to the end.
class WithoutPackets {
 public:
  explicit WithoutPackets(const Story& story) : story_(story) {}

  void tell(Ending& ending) const {
    if (const auto resetter = who_reset()) {
      ending.kind = EndKind::reset, ending.first = *resetter;
      return;
    }
    const Close closes[2] = {close_of(opener), close_of(listener)};
    const auto count = [&](Sent sent) { return std::ranges::count(closes, sent, &Close::sent); };
    if (count(Sent::nothing) == 2) return;
    const bool second = closes[0].sent == Sent::nothing ||
                        (closes[1].sent != Sent::nothing && story_.time(closes[1].at) < story_.time(closes[0].at));
    const Side first = second ? listener : opener;
    ending.first = first, ending.call = closes[first].call, ending.process_ended = closes[first].process_ended;
    ending.kind = count(Sent::not_known) > 0 ? EndKind::not_known
                  : count(Sent::fin) == 2    ? EndKind::in_order
                                             : EndKind::half;
  }

 private:
  enum class Sent : std::uint8_t { nothing, fin, not_known };
  struct Close {
    Sent sent = Sent::nothing;
    EventId at;                  // invalid: no event of its own side tells when
    std::string call;            // "": none, or not known
    bool process_ended = false;  // of itself, or by execve()
  };

  [[nodiscard]] std::optional<Side> who_reset() const {
    for (const auto& kernel : story_.connection.kernel)
      if (const auto* reset = std::get_if<recording::Reset>(&story_.timeline.event(kernel.event).what))
        return reset->sent ? kernel.side : other(kernel.side);
    if (const auto error = first_error(story_, {ECONNRESET})) return other(error->first);
    // Of a reset behind a FIN nothing but a sending call tells (tcp_reset(): EPIPE in CLOSE-WAIT).
    for (const Side side : {opener, listener})
      for (const Call* call : story_.calls(side, Effect::sends))
        if (story_.failed_with(*call, EPIPE) && !call->descriptor_was_closed &&
            !story_.shut_sending(side, story_.time(call->entered)))
          return other(side);
    return std::nullopt;
  }

  [[nodiscard]] Close close_of(Side side) const {
    Close close;
    const Call* shut = shutdown_of(side);
    if (const Call* call = shut != nullptr ? shut : last_closing_call(side)) {
      close.at = call->entered, close.call = story_.timeline.entered(*call).name;
    } else if (const auto replaced = execve_after_last_call(side)) {
      close.at = *replaced, close.call = "execve";
    } else if (const auto end = story_.end_of_process(side)) {
      close.at = *end, close.process_ended = true;
    }
    const auto* by_states = fin_by_states(story_, side);
    const auto read = end_of_stream_at(other(side));
    const bool said = shut != nullptr || by_states != nullptr || read;
    if (said || (close.at.valid() && nothing_unread_at(side, close)))
      close.sent = Sent::fin;
    else if (close.at.valid())
      close.sent = Sent::not_known;
    if (close.sent == Sent::fin && !close.at.valid()) close.at = by_states != nullptr ? by_states->event : *read;
    return close;
  }

  [[nodiscard]] const Call* shutdown_of(Side side) const {
    for (const Call* call : story_.calls(side, Effect::shuts))
      if (story_.succeeded(*call) && call->meaning.as<calls::Shutdown>()->sending()) return call;
    return nullptr;
  }

  // Of several processes that hold the socket the last one's closes it.
  [[nodiscard]] const Call* last_closing_call(Side side) const {
    const Call* last = nullptr;
    for (const Call* call : story_.calls(side, Effect::closes))
      if (!call->descriptor_was_closed) last = call;
    return last;
  }

  // Another program took the place of one that had used the socket: close-on-exec may have closed it.
  [[nodiscard]] std::optional<EventId> execve_after_last_call(Side side) const {
    const auto& calls = story_.calls(side);
    if (calls.empty()) return std::nullopt;
    const auto& lookups = story_.timeline.lookups;
    const auto later = lookups.programs_of_process.of(lookups.process_of(calls.back()->actor));
    const auto found =
        std::ranges::upper_bound(later, calls.back()->entered, {}, [](const auto& pair) { return pair.value; });
    return found == later.end() ? std::nullopt : std::optional(found->value);
  }

  // When a receiving call of that side met the end of the stream.
  [[nodiscard]] std::optional<EventId> end_of_stream_at(Side side) const {
    for (const Call* call : story_.calls(side, Effect::receives))
      if (story_.succeeded(*call) && story_.result(*call) == 0 && !asks_for_nothing(*call) &&
          !story_.shut_receiving(side, story_.time(*call->returned)))
        return *call->returned;
    return std::nullopt;
  }

  // recv() of 0 bytes returns 0 whatever is there.
  [[nodiscard]] bool asks_for_nothing(const Call& call) const { return story_.timeline.entered(call).byte_count == 0; }

  // It has read to the end, and nobody else can hold the socket: then its close sends a FIN.
  [[nodiscard]] bool nothing_unread_at(Side side, const Close& close) const {
    const auto end = end_of_stream_at(side);
    return end && *end < close.at && close.call != "execve" && !may_be_shared(side, close.at) &&
           story_.option_set(side, so_linger, story_.time(close.at)) == nullptr;
  }

  [[nodiscard]] bool may_be_shared(Side side, EventId before) const {
    const auto& lookups = story_.timeline.lookups;
    const auto& actors = story_.timeline.recording->actors;
    for (const auto actor : story_.connection.sides[side].actors) {
      if (actor.value >= actors.size()) return true;
      const auto forks = lookups.forks_of_pid.of(actors[actor.value].pid);
      if (!forks.empty() && forks.front().value < before) return true;
    }
    return std::ranges::any_of(story_.calls(side), [&](const Call* call) {
      const auto socket = story_.timeline.entered(*call).socket;
      return socket != 0 && !lookups.sharings_of_socket.of(socket).empty();
    });
  }

  const Story& story_;
};

}  // namespace

std::string_view name(EndKind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

Ending ending_of(const timeline::Timeline& timeline, timeline::ConnectionIndex index) {
  const Story story(timeline, index);
  Ending ending;
  ending.lasted = story.connection.ended - story.connection.began;
  const Segment* resets[2] = {story.reset_of(opener), story.reset_of(listener)};
  const Segment* fins[2] = {story.fin_of(opener), story.fin_of(listener)};
  const auto sooner = [](const Segment* a, const Segment* b) {
    return a == nullptr ? b : b == nullptr || a->departed < b->departed ? a : b;
  };
  const bool shaken = std::ranges::any_of(story.connection.changes, [](const auto& change) {
    return change.to == tcp::State::established || change.from == tcp::State::established;
  });
  if (const Segment* reset = sooner(resets[0], resets[1])) {
    const bool opening = !shaken && !story.connection.began_before_capture && reset->from == listener;
    ending.kind = opening ? EndKind::refused : EndKind::reset;
    say_who(story, *reset, ending);
  } else if (const auto refused = first_error(story, {ECONNREFUSED})) {
    ending.kind = EndKind::refused, ending.first = other(refused->first), ending.error = refused->second;
  } else if (const auto gone = first_error(story, {ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN})) {
    ending.kind = shaken ? EndKind::given_up : EndKind::failed, ending.first = gone->first, ending.error = gone->second;
  } else if (const Segment* fin = sooner(fins[0], fins[1])) {
    ending.kind = fins[0] != nullptr && fins[1] != nullptr ? EndKind::in_order : EndKind::half;
    say_who(story, *fin, ending);
  } else if (story.connection.without_packets()) {
    WithoutPackets(story).tell(ending);
  }
  return ending;
}

std::uint64_t bytes_sent(const timeline::Timeline& timeline, timeline::ConnectionIndex index, Side side) {
  const auto& connection = timeline.connections[index];
  if (!connection.without_packets()) return connection.sides[side].bytes_sent;
  const Story story(timeline, index);
  const auto sum = [&](Side whose, Effect effect) {
    std::uint64_t bytes = 0;
    for (const Call* call : story.calls(whose, effect)) bytes += story.bytes_moved(*call);
    return bytes;
  };
  return std::max(sum(side, Effect::sends), sum(other(side), Effect::receives));
}

}  // namespace tcpwhy::explain
