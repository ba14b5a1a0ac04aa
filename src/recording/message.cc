// Events as lines, in the spelling of strace where strace has one.
#include <fmt/format.h>

#include <string>

#include "base/text.h"
#include "calls/names.h"
#include "calls/spelling/line.h"
#include "recording/fields.h"
#include "recording/recording.h"

namespace tcpwhy::recording {
namespace {

std::string endpoints(const SocketState& state) {
  const bool connected = state.remote.ip.family != wire::IpFamily::none && state.remote.port != 0;
  return connected ? fmt::format("{} - {}", state.local, state.remote) : fmt::format("{}", state.local);
}

std::string between(const std::optional<wire::SocketAddress>& one, const std::optional<wire::SocketAddress>& other) {
  if (!one || !other) return {};
  return fmt::format(" ({} - {})", *one, *other);
}

// io_uring: send(5, "hello", 5, 0) = 5
std::string whole_line_of(const CallEntered& entered, const CallReturned* returned) {
  const std::string line = returned == nullptr ? calls::unfinished_line(entered.name, entered.arguments)
                                               : calls::returned_line(entered.name, entered.arguments, returned->result,
                                                                      returned->error, returned->detail);
  return entered.through.empty() ? line : entered.through + ": " + line;
}

// One function a kind; those of CallReturned need the entry.
struct Lines {
  const CallEntered* entered;

  std::string operator()(const Packet&) const { return {}; }
  std::string operator()(const CallEntered& e) const { return whole_line_of(e, nullptr); }
  std::string operator()(const CallReturned& e) const {
    if (entered != nullptr) return whole_line_of(*entered, &e);
    return fmt::format("<... call {} resumed>{}) = {}", e.call, e.detail, calls::result_text(e.result, e.error));
  }
  std::string operator()(const Signal& e) const {
    return e.fate == SignalFate::delivered ? fmt::format("--- {} ---", e.name)
                                           : fmt::format("--- {} ({}) ---", e.name, name_of(e.fate));
  }
  std::string operator()(const ProcessStarted& e) const { return fmt::format("+++ started {} +++", e.command); }
  std::string operator()(const ProcessEnded& e) const {
    return e.exit_status ? fmt::format("+++ exited with {} +++", *e.exit_status)
                         : fmt::format("+++ killed by {} +++", e.signal);
  }
  std::string operator()(const SocketState& e) const {
    const std::string before =
        e.from == tcp::State::not_seen ? std::string() : fmt::format("{} -> ", tcp::name(e.from));
    return fmt::format("{} {}{}{}", endpoints(e), before, tcp::name(e.to), e.orphan ? " (orphan)" : "");
  }
  std::string operator()(const CounterMoved& e) const {
    return fmt::format("{} {:+}{}", e.name, e.delta, e.host.empty() ? "" : fmt::format(" ({})", e.host));
  }
  std::string operator()(const SegmentCause& e) const {
    const std::string stack =
        (e.through.empty() ? "" : ", by io_uring's " + e.through) + (e.stack.empty() ? "" : " | " + e.stack);
    if (!e.local || !e.remote)
      return fmt::format("cause of event {}: {} {}{}", e.packet.value, name_of(e.trigger), e.name, stack);
    return fmt::format("sent {} > {} [{}] seq {} ack {} length {}: {} {}{}", *e.local, *e.remote, e.flags, e.seq, e.ack,
                       e.length, name_of(e.trigger), e.name, stack);
  }
  std::string operator()(const Reset& e) const {
    return fmt::format("reset {}{}{}{}", e.sent ? "sent" : "received", e.active ? " actively" : "",
                       e.reason.empty() ? "" : ", reason " + e.reason, between(e.local, e.remote));
  }
  std::string operator()(const SocketError& e) const {
    return fmt::format("socket error {}{}", e.error == 0 ? "taken" : calls::error_text(e.error),
                       between(e.local, e.remote));
  }
  std::string operator()(const SegmentDropped& e) const {
    return fmt::format("dropped {}[{}] seq {} ack {} length {}: {} in {}{}", e.sent ? "on its way out " : "", e.flags,
                       e.seq, e.ack, e.length, e.reason, e.function, between(e.from, e.to));
  }
  std::string operator()(const CallsRepeated& e) const {
    return fmt::format("the same call {} times more, not told each; the last of them follows", e.count);
  }
  std::string operator()(const LinkAction& e) const {
    return e.delay_ns == 0 ? fmt::format("link: {}", e.action)
                           : fmt::format("link: {} {} ms", e.action, static_cast<double>(e.delay_ns) / 1e6);
  }
  std::string operator()(const Note& e) const { return e.text; }
  std::string operator()(const ExpectationFailed& e) const {
    return fmt::format("expected {}, but {}", e.expected, e.actual);
  }
  std::string operator()(const Loss& e) const {
    return fmt::format("lost {} {}{}", e.count, e.what, e.why.empty() ? "" : ": " + e.why);
  }
};

// The entry of a CallReturned: nearest before it, for calls are short.
const CallEntered* find_entry(const Recording& recording, const Event& event) {
  const auto* returned = std::get_if<CallReturned>(&event.what);
  if (returned == nullptr) return nullptr;
  const auto& events = recording.events;
  const bool inside = !events.empty() && &event >= &events.front() && &event <= &events.back();
  for (std::size_t i = inside ? static_cast<std::size_t>(&event - events.data()) : events.size(); i-- > 0;) {
    const auto* entered = std::get_if<CallEntered>(&events[i].what);
    if (entered != nullptr && entered->call == returned->call) return entered;
  }
  return nullptr;
}

}  // namespace

std::string call_result(const CallEntered& entered, const CallReturned& returned) {
  return base::escape_controls(calls::behind_line(entered.arguments, returned.result, returned.error, returned.detail));
}

std::string call_line(const CallEntered& entered, const CallReturned* returned) {
  return base::escape_controls(whole_line_of(entered, returned));
}

std::string message(const Event& event, const CallEntered* entered) {
  return base::escape_controls(std::visit(Lines{entered}, event.what));
}

std::string message(const Recording& recording, const Event& event) {
  return message(event, find_entry(recording, event));
}

}  // namespace tcpwhy::recording
