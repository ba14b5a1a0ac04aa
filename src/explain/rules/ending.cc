#include "explain/rules/ending.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "explain/rules/attempt.h"
#include "explain/rules/unseen_reset.h"
#include "explain/story.h"
#include "explain/texts/catalogue.h"

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;
using timeline::other;
using timeline::Trigger;

constexpr std::string_view kind_names[] = {"open",     "half-closed", "in order",  "reset",    "refused",
                                           "given up", "failed",      "withdrawn", "not known"};

void say_who(const Story& story, const Segment& segment, Ending& ending) {
  ending.first = segment.from;
  ending.process_ended = segment.cause.trigger == Trigger::process_end ||
                         (segment.cause.trigger != Trigger::call && story.left_after_end_of_process(segment));
  if (segment.cause.trigger == Trigger::process_end) {
    const Ender ender = ender_of(story.timeline, segment);
    if (ender.who == Ender::Who::other) ending.ended = ender.name;
    if (ender.who == Ender::Who::thread || ender.who == Ender::Who::not_known) ending.ended = "?";
  }
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
    const bool sends = change.side == side && (change.to == fin_wait_1 || change.to == fin_wait_2 ||
                                               change.to == last_ack || change.to == time_wait);
    const bool receives =
        change.side == other(side) && (change.to == close_wait || change.to == closing || change.to == time_wait);
    if (sends || receives) return &change;
  }
  return nullptr;
}

// That a process has ended is told when somebody has waited for it: later than what it closed.
constexpr base::Duration end_is_told = std::chrono::milliseconds(20);

// What a close sent is in no packet here: a FIN, a RST because something was unread, or nothing because somebody else holds the socket
// too. What shows it all the same: the kernels' word, errors, states, and who has read to the end. What these leave open is not known.
class WithoutPackets {
 public:
  explicit WithoutPackets(const Story& story) : story_(story), closes_{close_of(opener), close_of(listener)} {}

  void tell(Ending& ending) const {
    if (tell_reset(ending)) return;
    const auto by_states = first_by_states();
    ending.first = by_states ? by_states : first_by_order();
    if (ending.first) {
      const Close& first = closes_[*ending.first];
      if (first.is_the_one) ending.call = first.call, ending.process_ended = first.process_ended;
    }
    const timeline::PerSide<bool> fins{{sent_fin(opener), sent_fin(listener)}};
    const auto silent = [&](Side side) { return !fins[side] && !is_seen_open(side); };
    if (fins[opener] && fins[listener])
      ending.kind = EndKind::in_order;
    else if (fins[opener] || fins[listener])
      ending.kind = silent(opener) || silent(listener) ? EndKind::not_known : EndKind::half;
    else if (may_have_closed(opener) || may_have_closed(listener))
      ending.kind = EndKind::not_known;
    if (is_no_orderly_end()) ending.kind = EndKind::not_known;
  }

 private:
  // What may have closed a side's socket.
  struct Close {
    EventId at;               // invalid: nothing that was seen
    EventId done;             // when it had returned
    bool shuts = false;       // shutdown(): whoever else holds the socket, it sends the FIN
    bool is_the_one = false;  // nothing speaks against it
    std::string call;         // "": none
    bool process_ended = false;
  };

  bool tell_reset(Ending& ending) const {
    for (const auto& kernel : story_.connection.kernel)
      if (const auto* reset = std::get_if<recording::Reset>(&story_.timeline.event(kernel.event).what)) {
        ending.kind = EndKind::reset, ending.first = reset->sent ? kernel.side : other(kernel.side);
        return true;
      }
    if (const auto reset = unseen_reset(story_); reset && reset->grade != Grade::assumed) {
      ending.kind = EndKind::reset, ending.first = reset->from;
      ending.process_ended = reset->at_exit(story_);
      if (reset->by.valid())
        if (const Call* call = story_.call_at(reset->by)) ending.call = name_of(*call);
      return true;
    }
    // Of a reset behind a FIN nothing but a sending call tells (tcp_reset(): EPIPE in CLOSE-WAIT).
    for (const Side side : {opener, listener})
      for (const Call* call : story_.calls(side)) {
        const bool broke = Story::effect(*call) == Effect::sends && story_.failed_with(*call, EPIPE) &&
                           !call->descriptor_was_closed && !story_.shut_sending(side, story_.time(call->entered));
        if (!broke && !story_.failed_with(*call, ECONNRESET)) continue;
        ending.kind = EndKind::reset;
        // A kernel that resets because its program refuses what comes gives it that error too (tcp_rcv_state_process(), RCV_SHUTDOWN).
        if (!story_.shut_receiving(side, story_.time(call->entered))) ending.first = other(side);
        return true;
      }
    return false;
  }

  [[nodiscard]] Close close_of(Side side) const {
    Close close;
    for (const Call* call : story_.calls(side, Effect::shuts))
      if (story_.succeeded(*call) && call->meaning.as<calls::Shutdown>()->sending())
        return {
            .at = call->entered, .done = *call->returned, .shuts = true, .is_the_one = true, .call = name_of(*call)};
    // Of several processes that hold the socket the last one's closes it.
    for (const Call* call : story_.calls(side, Effect::closes))
      if (!call->descriptor_was_closed)
        close = {.at = call->entered, .done = call->returned.value_or(call->entered), .call = name_of(*call)};
    if (!close.at.valid()) {
      if (const auto replaced = execve_after_last_call(story_, side))
        close = {.at = *replaced, .done = *replaced, .call = "execve"};
      else if (const auto end = story_.end_of_process(side))
        close = {.at = *end, .done = *end, .process_ended = true};
    }
    close.is_the_one = close.at.valid() && close.call != "execve" && !may_be_shared(side, close.at) &&
                       !was_open_after(side, story_.time(close.done)) &&
                       !had_closed_before(side, close.at, close.process_ended ? end_is_told : base::Duration{});
    return close;
  }

  [[nodiscard]] std::string name_of(const Call& call) const { return story_.timeline.entered(call).name; }

  [[nodiscard]] bool may_be_shared(Side side, EventId before) const {
    const auto& lookups = story_.timeline.lookups;
    const auto& actors = story_.timeline.recording->actors;
    for (const auto actor : story_.connection.sides[side].actors)
      if (actor.value >= actors.size() || fork_while_held(story_, side, actors[actor.value].pid, before) ||
          unshared_while_held(story_, side, actors[actor.value].pid, before))
        return true;
    return std::ranges::any_of(story_.calls(side), [&](const Call* call) {
      const auto socket = story_.timeline.entered(*call).socket;
      return socket != 0 && !lookups.sharings_of_socket.of(socket).empty();
    });
  }

  // --- States, sampled now and then ------------------------------------------------------------------------------

  template <class Holds>
  [[nodiscard]] bool any_change(Side side, Holds&& holds) const {
    return std::ranges::any_of(story_.connection.changes,
                               [&](const auto& change) { return change.side == side && holds(change); });
  }
  [[nodiscard]] bool was_in(Side side, std::initializer_list<tcp::State> states) const {
    return any_change(side, [&](const auto& change) { return std::ranges::count(states, change.to) > 0; });
  }

  // The kernel still had it as a standing connection at a later sample.
  [[nodiscard]] bool was_open_after(Side side, base::WallTime when) const {
    return any_change(side, [&](const timeline::SideChange& change) {
      const auto* state = std::get_if<recording::SocketState>(&story_.timeline.event(change.event).what);
      const bool stood = change.from == tcp::State::established || change.from == tcp::State::close_wait;
      return stood && state != nullptr && state->not_before && *state->not_before > when;
    });
  }

  // Its FIN had been seen, or read by the other side, before that.
  [[nodiscard]] bool had_closed_before(Side side, EventId event, base::Duration told_later) const {
    const auto read = end_of_stream_at(other(side));
    const auto* fin = fin_by_states(story_, side);
    const auto before = [&](EventId effect) {
      return effect < event && story_.time(event) - story_.time(effect) >= told_later;
    };
    return (read && before(*read)) || (fin != nullptr && before(fin->event));
  }

  // RFC 9293, figure 5: who is in FIN-WAIT or TIME-WAIT closed first, whose peer is in CLOSE-WAIT or LAST-ACK too.
  [[nodiscard]] std::optional<Side> first_by_states() const {
    using enum tcp::State;
    for (const Side side : {opener, listener})
      if (was_in(side, {fin_wait_1, fin_wait_2, time_wait}) || was_in(other(side), {close_wait, last_ack})) return side;
    return std::nullopt;
  }

  // At a sample the kernel had nothing of it left, not even a small entry. (To the tracepoint FIN-WAIT-2 of a closed socket and TIME-WAIT are
  // CLOSED too: that says nothing of the kind.)
  template <class Holds>
  [[nodiscard]] bool was_gone(Side side, Holds&& holds) const {
    return any_change(side, [&](const timeline::SideChange& change) {
      const auto* state = std::get_if<recording::SocketState>(&story_.timeline.event(change.event).what);
      return change.to == tcp::State::closed && state != nullptr && state->not_before && holds(change);
    });
  }

  // A socket in FIN-WAIT is gone with a TIME-WAIT entry, or by a reset; one of both ends has such an entry; and no socket is gone before its
  // program, whose calls are seen, has done anything that closes it.
  [[nodiscard]] bool is_no_orderly_end() const {
    using enum tcp::State;
    if (was_in(opener, {time_wait}) || was_in(listener, {time_wait})) return false;
    const auto in_fin_wait = [](const auto& change) { return change.from == fin_wait_1 || change.from == fin_wait_2; };
    const auto whatever = [](const auto&) { return true; };
    for (const Side side : {opener, listener}) {
      const EventId close = closes_[side].at;
      const auto too_soon = [&](const auto& change) { return !close.valid() || change.event < close; };
      if (was_gone(side, in_fin_wait) || (!story_.calls(side).empty() && was_gone(side, too_soon))) return true;
    }
    return was_gone(opener, whatever) && was_gone(listener, whatever);
  }

  // That it has not closed: its program's calls are seen, and none does; or the kernel's last word is that it stands, or that its peer waits
  // for its FIN.
  [[nodiscard]] bool is_seen_open(Side side) const {
    using enum tcp::State;
    const auto last = [&](Side whose) { return story_.state(whose, base::WallTime::max()); };
    if (closes_[side].at.valid()) return false;
    return !story_.calls(side).empty() || last(side) == established || last(side) == close_wait ||
           last(other(side)) == fin_wait_2;
  }

  // --- What follows ----------------------------------------------------------------------------------------------

  // When a receiving call of that side met the end of the stream. recv() of 0 bytes returns 0 whatever is there.
  [[nodiscard]] std::optional<EventId> end_of_stream_at(Side side) const {
    for (const Call* call : story_.calls(side, Effect::receives))
      if (story_.met_end(*call) && !story_.shut_receiving(side, story_.time(*call->returned))) return *call->returned;
    return std::nullopt;
  }

  [[nodiscard]] bool sent_fin(Side side) const {
    const Close& close = closes_[side];
    if (close.shuts || end_of_stream_at(other(side)) || fin_by_states(story_, side) != nullptr) return true;
    // It has read to the end, and nobody else holds the socket: then its close has nothing unread.
    const auto end = end_of_stream_at(side);
    return close.is_the_one && end && *end < close.at &&
           story_.option_set(side, so_linger, story_.time(close.at)) == nullptr;
  }

  [[nodiscard]] bool may_have_closed(Side side) const {
    return closes_[side].at.valid() || was_in(side, {tcp::State::closed});
  }

  // One side's FIN had been sent, or read, before the other did anything that sends one.
  [[nodiscard]] std::optional<Side> first_by_order() const {
    for (const Side side : {opener, listener}) {
      std::optional<EventId> sent;
      if (closes_[side].shuts) sent = closes_[side].done;
      if (const auto read = end_of_stream_at(other(side)); read && (!sent || *read < *sent)) sent = read;
      const EventId others = closes_[other(side)].at;
      if (sent && (!others.valid() || *sent < others)) return side;
    }
    return std::nullopt;
  }

  const Story& story_;
  timeline::PerSide<Close> closes_;
};

// A connection that never stood: what its last attempt came to.
void tell_attempt(const Story& story, const Attempt& attempt, Ending& ending) {
  ending.error = attempt.error;
  ending.first = opener;
  if (attempt.error == 0)
    ending.kind = EndKind::withdrawn, ending.call = story.timeline.entered(*attempt.given_up).name;
  else if (attempt.error == ECONNREFUSED)
    ending.kind = EndKind::refused, ending.first = listener;
  else
    ending.kind = EndKind::failed;
}

// The call inside which the opener's socket went from SYN-SENT to CLOSED. A sample can't show that: whoever is refused, or gives up, is closed
// as well, and closes the descriptor later.
const Call* close_of_attempt(const Story& story) {
  for (const auto& change : story.connection.changes) {
    if (change.side != opener || change.from != tcp::State::syn_sent || change.to != tcp::State::closed) continue;
    const auto* state = std::get_if<recording::SocketState>(&story.timeline.event(change.event).what);
    const Call* close = story.closing_call(opener);
    if (state != nullptr && !state->not_before && close != nullptr && close->entered < change.event &&
        story.time(change.event) <= close->ended)
      return close;
  }
  return nullptr;
}

}  // namespace

std::string_view name(EndKind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

Ending ending_of(const timeline::Timeline& timeline, timeline::ConnectionIndex index) {
  const Story story(timeline, index);
  Ending ending;
  ending.lasted = story.connection.ended - story.connection.began;
  const timeline::PerSide<const Segment*> resets{{story.reset_of(opener), story.reset_of(listener)}};
  const timeline::PerSide<const Segment*> fins{{story.fin_of(opener), story.fin_of(listener)}};
  const auto sooner = [](const Segment* a, const Segment* b) {
    return a == nullptr ? b : b == nullptr || a->departed < b->departed ? a : b;
  };
  const bool shaken = std::ranges::any_of(story.connection.changes, [](const auto& change) {
    return change.to == tcp::State::established || change.from == tcp::State::established;
  });
  if (const Segment* reset = sooner(resets[opener], resets[listener])) {
    const bool opening = !shaken && !story.connection.began_before_capture && reset->from == listener;
    ending.kind = opening ? EndKind::refused : EndKind::reset;
    say_who(story, *reset, ending);
  } else if (const auto attempts = failed_attempts(story); !attempts.empty() && !was_answered(story)) {
    tell_attempt(story, attempts.back(), ending);
  } else if (const auto refused = first_error(story, {ECONNREFUSED})) {
    ending.kind = EndKind::refused, ending.first = other(refused->first), ending.error = refused->second;
  } else if (const auto gone = first_error(story, {ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN})) {
    ending.kind = shaken ? EndKind::given_up : EndKind::failed, ending.first = gone->first, ending.error = gone->second;
  } else if (const Segment* fin = sooner(fins[opener], fins[listener])) {
    const bool both = story.connection.of_one_socket() || (fins[opener] != nullptr && fins[listener] != nullptr);
    ending.kind = both ? EndKind::in_order : EndKind::half;
    say_who(story, *fin, ending);
  } else if (const Call* close = close_of_attempt(story)) {
    ending.kind = EndKind::withdrawn, ending.first = opener, ending.call = story.timeline.entered(*close).name;
  } else if (story.connection.without_packets()) {
    WithoutPackets(story).tell(ending);
  }
  return ending;
}

namespace {

OwnedText end_of_that_name(const std::string& name) {
  return {(name == "server" || name == "client" ? "the " : "") + name, end_name(name, Language::zh)};
}

}  // namespace

OwnedText process_of_end(const std::string& name) {
  const auto [en, zh] = end_of_that_name(name);
  return {en + "'s process", zh + "的进程"};
}

Ender ender_of(const timeline::Timeline& timeline, const timeline::Segment& segment) {
  const auto& side = timeline.connections[segment.connection].sides[segment.from];
  const auto& actors = timeline.recording->actors;
  const auto& cause = segment.cause;
  const auto process_of = [&](timeline::ActorId actor) { return timeline.lookups.process_of(actor); };
  const auto is_owner = [&](timeline::ActorId who) {
    return std::ranges::any_of(side.actors, [&](auto actor) { return process_of(actor) == process_of(who); });
  };
  const bool several = std::ranges::any_of(
      side.actors, [&](auto actor) { return process_of(actor) != process_of(side.actors.front()); });
  const auto with_pid = [&](timeline::ActorId who) {
    return fmt::format("{}[{}]", actors[who.value].name, actors[who.value].pid);
  };
  const OwnedText end = end_of_that_name(side.name);
  const auto& [en, zh] = end;
  Ender ender;
  ender.name = side.name;
  timeline::ActorId who;
  if (cause.by) who = timeline.event(*cause.by).actor, ender.end = cause.by;
  if (!who.valid() && cause.kernel) who = timeline.event(*cause.kernel).actor;
  if (side.actors.empty()) {
    // Whoever it was: it is this end's.
    ender.who = Ender::Who::owner, ender.subject = process_of_end(side.name);
  } else if (who.value >= actors.size()) {
    ender.subject = {"a process that held " + en + "'s socket too (which one is not known)",
                     "另一个也持有" + zh + "的套接字的进程（是哪一个不清楚）"};
  } else if (!ender.end) {
    ender.who = Ender::Who::thread, ender.name = several ? with_pid(who) : side.name;
    ender.subject = {"a thread of " + (several ? with_pid(who) : en) + " with descriptors of its own",
                     (several ? with_pid(who) : zh) + "的一个有自己的描述符表的线程"};
  } else if (is_owner(who)) {
    ender.who = Ender::Who::owner, ender.name = several ? with_pid(who) : side.name;
    ender.subject = process_of_end(ender.name);
  } else {
    ender.who = Ender::Who::other, ender.name = with_pid(who);
    ender.subject = {ender.name + ", which held " + en + "'s socket too,", ender.name + "（也持有" + zh + "的套接字）"};
  }
  return ender;
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
