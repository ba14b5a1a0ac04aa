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

constexpr std::string_view kind_names[] = {"open", "half-closed", "in order", "reset", "refused", "given up", "failed"};

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

// Without packets: who was reset, by what its kernel and its calls say.
void end_without_packets(const Story& story, Ending& ending) {
  for (const auto& kernel : story.connection.kernel) {
    const auto* reset = std::get_if<recording::Reset>(&story.timeline.event(kernel.event).what);
    if (reset == nullptr) continue;
    ending.kind = EndKind::reset;
    ending.first = reset->sent ? kernel.side : other(kernel.side);
    return;
  }
  if (const auto error = first_error(story, {ECONNRESET})) {
    ending.kind = EndKind::reset;
    ending.first = other(error->first);
    return;
  }
  std::optional<base::WallTime> first;
  int closed = 0;
  for (const Side side : {opener, listener}) {
    const Call* call = story.closing_call(side);
    const auto* fin = fin_by_states(story, side);
    if (call == nullptr && fin == nullptr) continue;
    ++closed;
    const auto at = story.time(call != nullptr ? call->entered : fin->event);
    if (first && *first <= at) continue;
    first = at;
    ending.first = side;
    ending.call = call != nullptr ? story.timeline.entered(*call).name : "";
  }
  if (first) ending.kind = closed == 2 ? EndKind::in_order : EndKind::half;
}

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
    end_without_packets(story, ending);
  }
  return ending;
}

std::uint64_t bytes_sent(const timeline::Timeline& timeline, timeline::ConnectionIndex index, Side side) {
  const auto& connection = timeline.connections[index];
  if (!connection.without_packets()) return connection.sides[side].bytes_sent;
  const Story story(timeline, index);
  const auto sum = [&](Side whose, CallFamily family) {
    std::uint64_t bytes = 0;
    for (const Call* call : story.calls(whose, family))
      if (story.result(*call) > 0 && timeline.entered(*call).arguments.find("MSG_PEEK") == std::string::npos)
        bytes += static_cast<std::uint64_t>(story.result(*call));
    return bytes;
  };
  return std::max(sum(side, CallFamily::sending), sum(other(side), CallFamily::receiving));
}

}  // namespace tcpwhy::explain
