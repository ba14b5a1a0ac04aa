// One fact, one row: the fields of each kind of event, for every form that a recording takes (pcapng journal fields,
// JSON, text). visit_fields(event, f) calls f(name, member) for each, names in lower snake case, in declaration order.
// Packet is absent: its form is the Enhanced Packet Block.
#pragma once

#include <algorithm>
#include <concepts>
#include <iterator>
#include <string_view>
#include <type_traits>

#include "recording/event.h"

namespace tcpwhy::recording {

inline constexpr std::string_view kind_name(const What& what) {
  constexpr std::string_view names[] = {"packet",
                                        "call_entered",
                                        "call_returned",
                                        "signal",
                                        "process_started",
                                        "process_ended",
                                        "socket_state",
                                        "counter_moved",
                                        "segment_cause",
                                        "link_action",
                                        "note",
                                        "expectation_failed",
                                        "loss",
                                        "reset",
                                        "socket_error",
                                        "segment_dropped",
                                        "calls_repeated"};
  static_assert(std::size(names) == std::variant_size_v<What>);
  return names[what.index()];
}

inline constexpr std::string_view signal_fate_names[] = {"generated", "delivered", "handled", "ignored", "blocked"};
inline constexpr std::string_view name_of(SignalFate fate) { return signal_fate_names[static_cast<std::size_t>(fate)]; }
inline constexpr std::string_view trigger_names[] = {"unknown", "call", "process_end", "segment", "timer"};
inline constexpr std::string_view name_of(Trigger trigger) { return trigger_names[static_cast<std::size_t>(trigger)]; }
// RFC 9293's spelling; nothing where nothing was seen.
inline std::string_view name_of(tcp::State state) {
  return state == tcp::State::not_seen ? std::string_view() : tcp::name(state);
}

// Sets `value` by its name in a file. Words that are none (of another program, a later version) set the value that
// stands for what is not known; false, and nothing is set, where there is none.
inline bool read_name(std::string_view name, SignalFate& value) {
  const auto* found = std::ranges::find(signal_fate_names, name);
  if (found == std::end(signal_fate_names)) return false;
  value = SignalFate(found - std::begin(signal_fate_names));
  return true;
}
inline bool read_name(std::string_view name, Trigger& value) {
  const auto* found = std::ranges::find(trigger_names, name);
  value = found == std::end(trigger_names) ? Trigger::unknown : Trigger(found - std::begin(trigger_names));
  return true;
}
inline bool read_name(std::string_view name, tcp::State& value) {
  value = tcp::state_named(name).value_or(tcp::State::not_seen);
  return true;
}

template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, CallEntered>
void visit_fields(Event& e, F&& f) {
  f("call", e.call), f("name", e.name), f("arguments", e.arguments), f("fd", e.fd), f("socket", e.socket);
  f("local", e.local), f("remote", e.remote), f("byte_count", e.byte_count), f("step_line", e.step_line);
  f("stack", e.stack), f("references", e.references), f("unread", e.unread);
  f("through", e.through);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, CallReturned>
void visit_fields(Event& e, F&& f) {
  f("call", e.call), f("result", e.result), f("error", e.error), f("detail", e.detail), f("new_fd", e.new_fd);
  f("socket", e.socket), f("local", e.local), f("remote", e.remote);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, Signal>
void visit_fields(Event& e, F&& f) {
  f("name", e.name), f("fate", e.fate), f("call", e.call);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, ProcessStarted>
void visit_fields(Event& e, F&& f) {
  f("command", e.command), f("parent", e.parent);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, ProcessEnded>
void visit_fields(Event& e, F&& f) {
  f("exit_status", e.exit_status), f("signal", e.signal), f("call", e.call);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, SocketState>
void visit_fields(Event& e, F&& f) {
  f("socket", e.socket), f("local", e.local), f("remote", e.remote), f("from", e.from), f("to", e.to);
  f("not_before", e.not_before), f("receive_queue", e.receive_queue), f("send_queue", e.send_queue);
  f("orphan", e.orphan), f("delayed_ack_timeout_us", e.delayed_ack_timeout_us);
  f("retransmission_timeout_us", e.retransmission_timeout_us);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, CounterMoved>
void visit_fields(Event& e, F&& f) {
  f("name", e.name), f("delta", e.delta), f("host", e.host), f("not_before", e.not_before);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, SegmentCause>
void visit_fields(Event& e, F&& f) {
  f("packet", e.packet), f("socket", e.socket), f("local", e.local), f("remote", e.remote), f("flags", e.flags);
  f("seq", e.seq), f("ack", e.ack), f("length", e.length), f("trigger", e.trigger), f("name", e.name), f("by", e.by);
  f("call", e.call), f("stack", e.stack), f("through", e.through);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, LinkAction>
void visit_fields(Event& e, F&& f) {
  f("action", e.action), f("delay_ns", e.delay_ns);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, Note>
void visit_fields(Event& e, F&& f) {
  f("text", e.text), f("step_line", e.step_line);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, ExpectationFailed>
void visit_fields(Event& e, F&& f) {
  f("step_line", e.step_line), f("expected", e.expected), f("actual", e.actual), f("call", e.call);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, Loss>
void visit_fields(Event& e, F&& f) {
  f("what", e.what), f("count", e.count), f("why", e.why);
}

template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, Reset>
void visit_fields(Event& e, F&& f) {
  f("sent", e.sent), f("active", e.active), f("socket", e.socket), f("local", e.local), f("remote", e.remote);
  f("reason", e.reason), f("call", e.call), f("unread", e.unread);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, SocketError>
void visit_fields(Event& e, F&& f) {
  f("socket", e.socket), f("local", e.local), f("remote", e.remote), f("error", e.error);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, SegmentDropped>
void visit_fields(Event& e, F&& f) {
  f("socket", e.socket), f("from", e.from), f("to", e.to), f("flags", e.flags), f("seq", e.seq), f("ack", e.ack);
  f("length", e.length), f("reason", e.reason), f("function", e.function), f("sent", e.sent);
}
template <class Event, class F>
  requires std::same_as<std::remove_const_t<Event>, CallsRepeated>
void visit_fields(Event& e, F&& f) {
  f("call", e.call), f("count", e.count), f("since", e.since);
}

}  // namespace tcpwhy::recording
