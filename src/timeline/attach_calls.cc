// Calls, paired and tied to the connection whose socket they act on.
#include <algorithm>
#include <cerrno>
#include <map>
#include <ranges>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "timeline/builder.h"

namespace tcpwhy::timeline::steps {
namespace {

using recording::CallEntered;
using recording::CallReturned;

// Threads of a process that may be in such calls at one moment: among its latest are theirs.
constexpr std::ptrdiff_t threads_looked_at = 64;

// A descriptor number means something in one process only.
struct Descriptor {
  std::int32_t pid;
  std::int32_t fd;
  auto operator<=>(const Descriptor&) const = default;
};

class Attacher {
 public:
  explicit Attacher(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording) {}

  void run() {
    for (const EventId id : timeline_.all<recording::SegmentCause>()) {
      const auto& cause = timeline_.get<recording::SegmentCause>(id);
      if (cause.call && cause.socket != 0 && cause.name.starts_with("close")) closed_by_[*cause.call] = cause.socket;
    }
    for (CallIndex i = 0; i < timeline_.calls.size(); ++i) attach(i);
    attach_those_that_close_several();
    name_sides();
  }

 private:
  void attach(CallIndex index) {
    Call& call = timeline_.calls[index];
    const auto& entered = timeline_.entered(call);
    const auto* returned = timeline_.returned(call);
    const std::int32_t pid = pid_of(call.actor);
    const std::uint64_t socket = entered.socket != 0 ? entered.socket : returned != nullptr ? returned->socket : 0;
    if (call.meaning.effect == calls::Effect::accepts) {
      if (returned != nullptr) tie(index, returned->socket);
    } else if (socket != 0) {
      tie(index, socket);
    } else if (const auto closed = closed_by_.find(entered.call); closed != closed_by_.end()) {
      tie(index, closed->second);
    } else if (entered.fd) {
      // A number that is nobody's now: what it was until close() is what the program means.
      const auto was = last_socket_.find({pid, *entered.fd});
      const bool bad = returned == nullptr || returned->error == EBADF;
      if (was != last_socket_.end() && bad) {
        call.descriptor_was_closed = true;
        tie(index, was->second);
      }
    }
    if (socket == 0) attach_without_cookie(index, pid);
    if (entered.fd && entered.socket != 0) last_socket_[{pid, *entered.fd}] = entered.socket;
    if (returned != nullptr && returned->new_fd && returned->socket != 0)
      last_socket_[{pid, *returned->new_fd}] = returned->socket;
    if (call.meaning.effect == calls::Effect::listens && entered.local && call.actor.valid())
      listens_.try_emplace(entered.local->port, Listening{call.entered, call.actor});
  }

  // The kernel gives a socket its cookie when somebody asks for it, and nobody asks for that of one whose connect() failed before there was
  // anything to send: then the descriptor alone ties its calls together, from socket() to close().
  struct WithoutCookie {
    std::vector<CallIndex> calls;
    std::optional<ConnectionIndex> connection;
  };

  void attach_without_cookie(CallIndex index, std::int32_t pid) {
    Call& call = timeline_.calls[index];
    const auto& entered = timeline_.entered(call);
    const auto* returned = timeline_.returned(call);
    if (call.meaning.effect == calls::Effect::makes_socket && returned != nullptr && returned->new_fd) {
      without_cookie_[{pid, *returned->new_fd}] = {{index}, std::nullopt};
      return;
    }
    const auto found = entered.fd ? without_cookie_.find({pid, *entered.fd}) : without_cookie_.end();
    if (found == without_cookie_.end() || call.connection) return;
    WithoutCookie& socket = found->second;
    if (failed_before_a_cookie(call)) {
      socket.connection = add_attempt(call);
      for (const CallIndex earlier : std::exchange(socket.calls, {})) tie_to_attempt(earlier, *socket.connection);
    }
    if (socket.connection)
      tie_to_attempt(index, *socket.connection);
    else
      socket.calls.push_back(index);
    if (call.meaning.effect == calls::Effect::closes) without_cookie_.erase(found);
  }

  [[nodiscard]] bool failed_before_a_cookie(const Call& call) const {
    constexpr int of_no_socket[] = {EBADF, ENOTSOCK, EFAULT, EINPROGRESS, EALREADY, EISCONN, EINTR};
    const auto& entered = timeline_.entered(call);
    const auto* returned = timeline_.returned(call);
    return call.meaning.effect == calls::Effect::connects && entered.remote && entered.remote->port != 0 &&
           returned != nullptr && returned->result < 0 && std::ranges::count(of_no_socket, returned->error) == 0;
  }

  ConnectionIndex add_attempt(const Call& call) {
    const auto& entered = timeline_.entered(call);
    Connection connection;
    connection.sides[listener].address = *entered.remote;
    if (entered.local && entered.local->port != 0) connection.sides[opener].address = *entered.local;
    connection.began = timeline_.time_of(call.entered), connection.ended = timeline_.end_of(call);
    timeline_.connections.push_back(std::move(connection));
    return static_cast<ConnectionIndex>(timeline_.connections.size() - 1);
  }

  void tie_to_attempt(CallIndex index, ConnectionIndex connection) {
    tie(index, SocketEnd{.connection = connection, .side = opener});
  }

  // close_range() and execve() name no socket. Where the kernel's word is missing: a side's FIN or RST left while its process was in one.
  void attach_those_that_close_several() {
    std::map<std::uint64_t, std::vector<CallIndex>> by_process;
    for (CallIndex i = 0; i < timeline_.calls.size(); ++i)
      if (const Call& call = timeline_.calls[i]; !call.connection && closes_several(call))
        by_process[timeline_.lookups.process_of(call.actor)].push_back(i);
    if (by_process.empty()) return;
    for (ConnectionIndex c = 0; c < timeline_.connections.size(); ++c)
      for (const Side side : {opener, listener})
        if (const auto index = call_that_closed(c, side, by_process))
          tie(*index, SocketEnd{.connection = c, .side = side});
  }

  static bool closes_several(const Call& call) {
    return call.meaning.row != nullptr && call.meaning.row->closes_several();
  }

  [[nodiscard]] std::optional<CallIndex> call_that_closed(
      ConnectionIndex c, Side side, const std::map<std::uint64_t, std::vector<CallIndex>>& by_process) const {
    const auto& connection = timeline_.connections[c];
    const auto end = std::ranges::find_if(connection.segments, [&](SegmentIndex s) {
      const Segment& segment = timeline_.segments[s];
      return segment.from == side && (segment.tcp.flags.fin() || segment.tcp.flags.rst());
    });
    if (end == connection.segments.end()) return std::nullopt;
    const auto left = timeline_.time_of(timeline_.segments[*end].departed);
    for (const ActorId actor : connection.sides[side].actors) {
      const auto found = by_process.find(timeline_.lookups.process_of(actor));
      if (found == by_process.end()) continue;
      const auto entered = [&](CallIndex index) { return timeline_.time_of(timeline_.calls[index].entered); };
      const auto later = std::ranges::upper_bound(found->second, left, {}, entered);
      const auto first = later - std::min<std::ptrdiff_t>(later - found->second.begin(), threads_looked_at);
      const auto was_in = [&](CallIndex index) {
        return !timeline_.calls[index].connection && left <= timeline_.end_of(timeline_.calls[index]);
      };
      if (const auto call = std::find_if(first, later, was_in); call != later) return *call;
    }
    return std::nullopt;
  }

  void tie(CallIndex index, std::uint64_t socket) {
    const SocketEnd* end = timeline_.socket_end(socket, timeline_.end_of(timeline_.calls[index]));
    if (end != nullptr) tie(index, *end);
  }

  void tie(CallIndex index, const SocketEnd& end) {
    Call& call = timeline_.calls[index];
    call.connection = end.connection;
    call.side = end.side;
    auto& connection = timeline_.connections[end.connection];
    connection.calls.insert(std::ranges::upper_bound(connection.calls, index), index);  // most often at the end
    if (connection.without_packets()) connection.began = std::min(connection.began, timeline_.time_of(call.entered));
    connection.ended = std::max(connection.ended, timeline_.time_of(call.returned.value_or(call.entered)));
    auto& actors = connection.sides[call.side].actors;
    if (!call.actor.valid() || (!actors.empty() && actors.back() == call.actor)) return;
    if (known_actors_.insert({end.connection, call.side, call.actor}).second) actors.push_back(call.actor);
  }

  [[nodiscard]] std::int32_t pid_of(ActorId actor) const {
    return actor.value < recording_.actors.size() ? recording_.actors[actor.value].pid : 0;
  }

  void name_sides() {
    for (auto& connection : timeline_.connections) {
      for (auto& side : connection.sides) {
        if (side.actors.empty()) adopt_listener(connection, side);
        side.name = name_of(side);
      }
      auto& [first, second] = connection.sides.values;
      if (first.name != second.name) continue;
      const bool one_process = pid_of(first.actors.empty() ? ActorId{} : first.actors.front()) ==
                               pid_of(second.actors.empty() ? ActorId{} : second.actors.front());
      for (auto* side : {&first, &second})
        if (!one_process ||
            side->address.ip.family != wire::IpFamily::none)  // else the one without is told apart by that
          side->name = one_process ? fmt::format("{} ({})", side->name, side->address)
                                   : fmt::format("{}[{}]", side->name, pid_of(side->actors.front()));
    }
  }

  [[nodiscard]] std::string name_of(const ConnectionSide& side) const {
    if (!side.actors.empty() && side.actors.front().value < recording_.actors.size()) {
      const auto& actor = recording_.actors[side.actors.front().value];
      if (!actor.name.empty()) return actor.name;
    }
    return side.address.ip.family == wire::IpFamily::none ? "?" : wire::to_string(side.address);
  }

  // An end that made no call on the connection itself (not accepted yet, or refused) is its listener's. Only the side that was
  // asked: that somebody listens on the port of a client means nothing. Nor does it that somebody came to listen when it was over.
  void adopt_listener(const Connection& connection, ConnectionSide& side) const {
    if (&side != &connection.sides[listener] || connection.of_one_socket()) return;
    const auto found = listens_.find(side.address.port);
    if (found != listens_.end() && timeline_.time_of(found->second.since) <= answered_by(connection))
      side.actors.push_back(found->second.actor);
  }

  // When the side that was asked had given its last answer; where none was seen, the end of what is known.
  [[nodiscard]] base::WallTime answered_by(const Connection& connection) const {
    for (const SegmentIndex s : connection.segments | std::views::reverse)
      if (timeline_.segments[s].from == listener) return timeline_.time_of(timeline_.segments[s].departed);
    return connection.ended;
  }

  Timeline& timeline_;
  const recording::Recording& recording_;
  std::map<Descriptor, std::uint64_t> last_socket_;
  // Of calls that name no socket (close_range(), execve()), by number: one that the kernel saw them close.
  std::map<std::uint32_t, std::uint64_t> closed_by_;
  struct Listening {
    EventId since;
    ActorId actor;
  };
  std::map<std::uint16_t, Listening> listens_;  // the first of each port
  std::map<Descriptor, WithoutCookie> without_cookie_;
  std::set<std::tuple<ConnectionIndex, Side, ActorId>> known_actors_;
};

}  // namespace

void pair_calls(Timeline& timeline) {
  const auto& events = timeline.recording->events;
  std::map<std::uint32_t, CallIndex> open;
  std::map<std::uint64_t, std::vector<CallIndex>> unfinished;  // by process
  const auto last = events.empty() ? base::WallTime{} : events.back().at;
  for (std::uint32_t i = 0; i < events.size(); ++i) {
    const auto& event = events[i];
    if (const auto* entered = std::get_if<CallEntered>(&event.what)) {
      open[entered->call] = static_cast<CallIndex>(timeline.calls.size());
      Call call;
      call.number = entered->call;
      call.entered = EventId{i};
      call.actor = event.actor;
      call.ended = last;
      timeline.calls.push_back(call);
    } else if (const auto* returned = std::get_if<CallReturned>(&event.what)) {
      const auto found = open.find(returned->call);
      if (found == open.end()) continue;
      timeline.calls[found->second].returned = EventId{i};
      timeline.calls[found->second].ended = event.at;
      open.erase(found);
    }
  }
  std::map<std::uint32_t, EventId> repeated;
  for (const EventId id : timeline.all<recording::CallsRepeated>())
    if (const auto& call = timeline.get<recording::CallsRepeated>(id).call) repeated.emplace(*call, id);
  for (Call& call : timeline.calls) {
    const auto& entered = timeline.entered(call);
    const auto* returned = timeline.returned(call);
    if (!repeated.empty())
      if (const auto found = repeated.find(call.number); found != repeated.end()) call.repeated = found->second;
    call.meaning =
        calls::meaning_of(entered.name, entered.arguments,
                          returned == nullptr ? std::string_view() : std::string_view(returned->detail), entered.fd);
  }
  for (const auto& [_, index] : open)
    unfinished[timeline.lookups.process_of(timeline.calls[index].actor)].push_back(index);
  for (const EventId id : timeline.all<recording::ProcessEnded>()) {
    // Of whichever of its threads.
    const auto left = unfinished.extract(timeline.lookups.process_of(timeline.event(id).actor));
    if (left.empty()) continue;
    for (const CallIndex index : left.mapped())
      if (timeline.calls[index].entered < id) timeline.calls[index].ended = timeline.time_of(id);
  }
}

void attach_calls(Timeline& timeline) { Attacher(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
