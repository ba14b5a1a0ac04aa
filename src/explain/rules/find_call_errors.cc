// Calls of whatever connection or none: those that failed (bind(), listen(), accept(), what was asked of a socket in the wrong state),
// and sockets that were made or listen otherwise than was likely meant.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "explain/story.h"

namespace tcpwhy::explain {
namespace {

struct CallErrorRow {
  std::string_view call;
  int error;
  std::string_view rule;
};
constexpr CallErrorRow call_errors[] = {
    {"accept", EMFILE, "accept.no_descriptor"}, {"accept4", EMFILE, "accept.no_descriptor"},
    {"accept", ENFILE, "accept.no_descriptor"}, {"accept4", ENFILE, "accept.no_descriptor"},
    {"", ENOTCONN, "call.not_connected"},       {"accept", EINVAL, "call.wrong_state"},
    {"accept4", EINVAL, "call.wrong_state"},    {"listen", EINVAL, "call.wrong_state"},
    {"bind", EINVAL, "call.wrong_state"},       {"connect", EISCONN, "call.wrong_state"},
};

std::string actor_name(const Timeline& timeline, const Call& call) {
  const auto& actors = timeline.recording->actors;
  return call.actor.value < actors.size() ? actors[call.actor.value].name : "?";
}

// EPIPE from a socket that never had a peer.
bool sent_unconnected(const Timeline& timeline, const Call& call) {
  const auto* returned = timeline.returned(call);
  const auto& entered = timeline.entered(call);
  return call.meaning.effect == Effect::sends && returned->error == EPIPE && !call.connection && entered.socket != 0 &&
         !entered.remote;
}

// It asks the kernel not to; an operation of io_uring that sends messages has that done for it.
bool raises_sigpipe(const Timeline& timeline, const Call& call) {
  return !call.meaning.has(MSG_NOSIGNAL) && timeline.entered(call).through.empty();
}

// listen() on a socket that was made here and that nobody bound: the kernel chose the port.
void find_unbound_listeners(const Timeline& timeline, Findings& findings) {
  std::map<std::uint64_t, bool> bound;  // sockets whose socket() was seen
  for (const Call& call : timeline.calls) {
    const auto* returned = timeline.returned(call);
    if (returned == nullptr || returned->result < 0) continue;
    const auto& entered = timeline.entered(call);
    if (call.meaning.effect == Effect::makes_socket && returned->socket != 0) bound[returned->socket] = false;
    if (call.meaning.effect == Effect::binds) bound[entered.socket] = true;
    if (call.meaning.effect != Effect::listens) continue;
    const auto socket = bound.find(entered.socket);
    if (socket == bound.end() || std::exchange(socket->second, true)) continue;
    findings.add("listen.without_bind", call.connection, Grade::observed, {call.entered, *call.returned}).slots = {
        {"who", actor_name(timeline, call)}, {"call", recording::call_line(entered, returned)}};
  }
}

// A queue for which a second client at the same moment, or a third, is too many. A negative backlog is the longest there is (__sys_listen()).
void find_small_backlogs(const Timeline& timeline, Findings& findings) {
  std::set<std::pair<std::uint64_t, std::int64_t>> told;  // once a socket, however often it listens again
  std::map<std::uint64_t, EventId> widened;  // by socket: listen() again changes the backlog (inet_listen())
  for (const auto& [_, index] : timeline.lookups.calls_of_effect.of(Effect::listens)) {
    const Call& call = timeline.calls[index];
    const auto* returned = timeline.returned(call);
    const auto* listening = call.meaning.as<calls::Listening>();
    const auto socket = timeline.entered(call).socket;
    if (socket == 0 || returned == nullptr || returned->result < 0 || listening == nullptr) continue;
    if (listening->backlog < 0 || listening->backlog > 1) widened[socket] = call.entered;
  }
  for (const auto& [_, index] : timeline.lookups.calls_of_effect.of(Effect::listens)) {
    const Call& call = timeline.calls[index];
    const auto* returned = timeline.returned(call);
    const auto* listening = call.meaning.as<calls::Listening>();
    if (returned == nullptr || returned->result < 0 || listening == nullptr) continue;
    const auto backlog = listening->backlog;
    const auto& entered = timeline.entered(call);
    if (backlog < 0 || backlog > 1) continue;
    if (const auto later = widened.find(entered.socket); later != widened.end() && later->second > call.entered)
      continue;
    if (entered.socket != 0 && !told.insert({entered.socket, backlog}).second) continue;
    findings.add("listen.small_backlog", call.connection, Grade::observed, {call.entered, *call.returned}).slots = {
        {"who", actor_name(timeline, call)}, {"call", recording::call_line(entered, returned)}, {"room", backlog + 1}};
  }
}

// Sockets of Multipath TCP (RFC 8684) are none of TCP's: nothing of what is done with them is recorded. Go's net package listens with them
// by default since 1.24.
void find_multipath(const Timeline& timeline, Findings& findings) {
  std::map<std::uint64_t, std::pair<const Call*, std::int64_t>> first_of_process;
  for (const auto& [_, index] : timeline.lookups.calls_of_effect.of(Effect::makes_socket)) {
    const Call& call = timeline.calls[index];
    const auto* returned = timeline.returned(call);
    const auto* socket = call.meaning.as<calls::NewSocket>();
    if (returned == nullptr || returned->result < 0 || socket->protocol != IPPROTO_MPTCP) continue;
    auto& [first, times] = first_of_process[timeline.lookups.process_of(call.actor)];
    if (first == nullptr) first = &call;
    ++times;
  }
  for (const auto& [_, found] : first_of_process)
    findings.add("socket.multipath", std::nullopt, Grade::observed, {found.first->entered, *found.first->returned})
        .slots = {{"who", actor_name(timeline, *found.first)}, {"times", found.second}};
}

// --- bind(), listen(), connect(): an address that was not to be had -----------------------------------------------

// How far back a socket's options are looked for, in calls of its thread; and who has a port, in connections of it.
constexpr std::size_t calls_looked_at = 64, connections_looked_at = 64;

bool fails_by_address(const Call& call) {
  return call.meaning.effect == Effect::binds || call.meaning.effect == Effect::listens;
}

// The port that was asked for, or that the socket had.
std::optional<std::uint16_t> port_asked(const Timeline& timeline, const Call& call) {
  const auto* address = call.meaning.as<calls::Address>();
  if (call.meaning.effect == Effect::binds && address != nullptr && address->port) return address->port;
  const auto& local = timeline.entered(call).local;
  return local ? std::optional(local->port) : std::nullopt;
}

// Who has a port, as far as the recording tells.
class PortHolders {
 public:
  struct Holder {
    EventId shown_by;
    std::string name;
    std::string_view rule;
    wire::SocketAddress local, remote;  // of a connection
  };

  explicit PortHolders(const Timeline& timeline) : timeline_(timeline) {
    for (timeline::ConnectionIndex i = 0; i < timeline.connections.size(); ++i)
      for (const Side side : {timeline::opener, timeline::listener})
        if (const auto port = timeline.connections[i].sides[side].address.port; port != 0)
          connections_.add(port, {i, side});
    connections_.sort();
    for (const EventId id : timeline.all<recording::SocketState>())
      if (timeline.event(id).actor.valid()) looked_up_.add(timeline.get<recording::SocketState>(id).local.port, id);
    looked_up_.sort();
  }

  // What was looked up when it failed comes first: the kernel's own list.
  [[nodiscard]] std::optional<Holder> of(std::uint16_t port, const Call& call) const {
    if (const auto looked_up = looked_up_.of(port); !looked_up.empty()) return holder_in(looked_up.front().value);
    if (const auto listening = listener_on(port, call)) return listening;
    return connection_of(port, call);
  }

 private:
  struct End {
    timeline::ConnectionIndex connection;
    Side side;
  };

  [[nodiscard]] Holder holder_in(EventId id) const {
    const auto& state = timeline_.get<recording::SocketState>(id);
    const bool seen = timeline_.recording->actors[timeline_.event(id).actor.value].pid != 0;
    const std::string_view rule = state.to == tcp::State::listen      ? "bind.held_by_listener"
                                  : state.to == tcp::State::time_wait ? "bind.held_by_time_wait"
                                                                      : "bind.held_by_connection";
    return {id, seen ? named(timeline_.event(id).actor) : "", rule, state.local, state.remote};
  }

  [[nodiscard]] std::optional<Holder> listener_on(std::uint16_t port, const Call& call) const {
    const auto listening = timeline_.lookups.listening_at(port, call.entered, timeline_.calls);
    if (!listening) return std::nullopt;
    const Call& listen = timeline_.calls[*listening];
    return Holder{listen.entered, named(listen.actor), "bind.held_by_listener", {}, {}};
  }

  [[nodiscard]] std::optional<Holder> connection_of(std::uint16_t port, const Call& call) const {
    const auto ends = connections_.of(port);
    std::optional<Holder> waiting;
    std::size_t looked_at = 0;
    for (auto end = ends.rbegin(); end != ends.rend() && looked_at < connections_looked_at; ++end, ++looked_at) {
      const Connection& connection = timeline_.connections[end->value.connection];
      const auto& side = connection.sides[end->value.side];
      if (connection.began >= timeline_.time_of(call.entered) || side.actors.empty()) continue;
      const auto [state, shown_by] = last_state(connection, end->value.side, call.entered);
      if (!shown_by.valid() || state == tcp::State::closed) continue;
      const auto& remote =
          connection.of_one_socket() ? side.address : connection.sides[timeline::other(end->value.side)].address;
      Holder holder{shown_by, named(side.actors.front()), "bind.held_by_connection", side.address, remote};
      if (state != tcp::State::time_wait) return holder;
      holder.rule = "bind.held_by_time_wait";
      if (!waiting) waiting = holder;
    }
    return waiting;
  }

  struct Shown {
    tcp::State state = tcp::State::not_seen;
    EventId by;
  };
  [[nodiscard]] static Shown last_state(const Connection& connection, Side side, EventId before) {
    Shown shown;
    for (const auto& change : connection.changes)
      if (change.side == side && change.event < before) shown = {change.to, change.event};
    return shown;
  }

  [[nodiscard]] std::string named(timeline::ActorId actor) const {
    const auto& actors = timeline_.recording->actors;
    if (actor.value >= actors.size()) return "?";
    return fmt::format("{}[{}]", actors[actor.value].name, actors[actor.value].pid);
  }

  const Timeline& timeline_;
  timeline::SortedIndex<std::uint16_t, End> connections_;
  timeline::SortedIndex<std::uint16_t, EventId> looked_up_;
};

// Whether SO_REUSEADDR was set on the socket, as far as its thread's calls since socket() tell; nothing: they do not tell.
std::optional<bool> reuses_address(const Timeline& timeline, const Call& call) {
  const auto fd = timeline.entered(call).fd;
  const auto calls = timeline.lookups.calls_of_actor.of(call.actor);
  const auto entered = [&](const auto& pair) { return timeline.calls[pair.value].entered; };
  const auto later = std::ranges::lower_bound(calls, call.entered, {}, entered);
  std::size_t looked_at = 0;
  for (auto pair = later; pair != calls.begin() && looked_at < calls_looked_at; ++looked_at) {
    const Call& earlier = timeline.calls[(--pair)->value];
    const auto* returned = timeline.returned(earlier);
    if (returned == nullptr || returned->result < 0) continue;
    if (earlier.meaning.effect == Effect::makes_socket && returned->new_fd == fd) return false;
    if (earlier.meaning.effect == Effect::sets_option && timeline.entered(earlier).fd == fd &&
        earlier.meaning.is_option(SOL_SOCKET, SO_REUSEADDR))
      return earlier.meaning.as<calls::Option>()->value.value_or(1) != 0;
  }
  return std::nullopt;
}

// What SO_REUSEADDR has to do with it.
void put_reuse(const Timeline& timeline, const Call& call, Slots& slots) {
  const auto reuses = reuses_address(timeline, call);
  const bool reuse = reuses.value_or(false);
  constexpr Text was_set{
      " SO_REUSEADDR was set: it lets a port in TIME-WAIT be had, no port that somebody listens on, or holds without it.",
      " 已设置 SO_REUSEADDR：它允许使用处于 TIME-WAIT 的端口，但不允许使用有人监听、或未设置它而占用的端口。"};
  constexpr Text may_be_set{"; set SO_REUSEADDR before bind(), if it is TIME-WAIT only",
                            "；若只是 TIME-WAIT，在 bind() 之前设置 SO_REUSEADDR"};
  put(slots, "reuse", reuse ? was_set : Text{});
  put(slots, "set_reuse", reuse ? Text{} : may_be_set);
}

class AddressErrors {
 public:
  AddressErrors(const Timeline& timeline, Findings& findings) : timeline_(timeline), findings_(findings) {}

  // False: it is no such error.
  bool tell(const Call& call) {
    const int error = timeline_.returned(call)->error;
    const bool connects = call.meaning.effect == Effect::connects;
    if (error == EADDRINUSE && (connects || fails_by_address(call))) return tell_in_use(call), true;
    if (!fails_by_address(call) || is_of_call(error)) return false;
    if (error == EADDRNOTAVAIL) {
      add("bind.no_such_address", Grade::observed, call);
    } else if (error == EACCES || error == EPERM) {
      const auto port = port_asked(timeline_, call);
      const auto set = first_unprivileged_port();
      const int first = set.value_or(1024);
      const bool privileged = port && *port > 0 && *port < first;
      const OwnedText low{fmt::format("ports below {} are for those who have CAP_NET_BIND_SERVICE", first),
                          fmt::format("{} 以下的端口只供拥有 CAP_NET_BIND_SERVICE 的进程使用", first)};
      constexpr Text other{"a security module or a cgroup's BPF program forbids it",
                           "安全模块或 cgroup 的 BPF 程序禁止"};
      constexpr Text any{"a security module, a cgroup's BPF program or net.ipv4.ip_unprivileged_port_start forbids it",
                         "安全模块、cgroup 的 BPF 程序或 net.ipv4.ip_unprivileged_port_start 禁止"};
      auto& slots = add("bind.not_permitted", privileged ? Grade::derived : Grade::assumed, call).slots;
      put(slots, "why", privileged ? Text(low) : set ? other : any);
      slots["first"] = std::int64_t{first};
    } else {
      add("bind.failed", Grade::observed, call).slots["error"] = error_words(error);
    }
    return true;
  }

 private:
  // A container's is often 0.
  [[nodiscard]] std::optional<int> first_unprivileged_port() const {
    const auto& settings = timeline_.recording->provenance.settings;
    const auto set = settings.find("net.ipv4.ip_unprivileged_port_start");
    if (set == settings.end()) return std::nullopt;
    const char* const end = set->second.data() + set->second.size();
    int first = 0;
    return std::from_chars(set->second.data(), end, first).ec == std::errc{} ? std::optional(first) : std::nullopt;
  }

  // What says more of the call than of an address: rows of call_errors, or of no socket at all.
  static bool is_of_call(int error) {
    return error == EINVAL || error == EBADF || error == ENOTSOCK || error == EFAULT || error == EOPNOTSUPP;
  }

  void tell_in_use(const Call& call) {
    const auto port = port_asked(timeline_, call);
    if (port == 0 && call.meaning.effect == Effect::binds) {
      add("bind.no_port_left", Grade::observed, call);
      return;
    }
    if (!holders_) holders_.emplace(timeline_);
    const auto holder = port ? holders_->of(*port, call) : std::nullopt;
    Finding& finding =
        holder ? add(holder->rule, Grade::derived, call, holder->shown_by) : add("bind.in_use", Grade::assumed, call);
    finding.slots["port"] = port ? Slot{std::int64_t{*port}} : Slot{std::string("?")};
    put_reuse(timeline_, call, finding.slots);
    if (!holder) return;
    put(finding.slots, "holder",
        holder->name.empty() ? Text{"a process that may not be looked at", "一个无权查看的进程"}
                             : Text{holder->name, holder->name});
    finding.slots["local"] = wire::to_string(holder->local), finding.slots["remote"] = wire::to_string(holder->remote);
  }

  Finding& add(std::string_view rule, Grade grade, const Call& call, EventId more = {}) {
    Finding& finding = findings_.add(rule, call.connection, grade, {call.entered, *call.returned, more});
    finding.slots = {{"who", actor_name(timeline_, call)},
                     {"call", recording::call_line(timeline_.entered(call), timeline_.returned(call))}};
    return finding;
  }

  const Timeline& timeline_;
  Findings& findings_;
  std::optional<PortHolders> holders_;
};

}  // namespace

void find_call_errors(const Timeline& timeline, Findings& findings) {
  AddressErrors of_addresses(timeline, findings);
  for (const Call& call : timeline.calls) {
    const auto* returned = timeline.returned(call);
    if (returned == nullptr || returned->result >= 0) continue;
    const auto& entered = timeline.entered(call);
    if (sent_unconnected(timeline, call)) {
      auto& slots =
          findings.add("call.send_unconnected", call.connection, Grade::observed, {call.entered, *call.returned}).slots;
      slots = {{"who", actor_name(timeline, call)}, {"call", recording::call_line(entered, returned)}};
      put(slots, "signal", raises_sigpipe(timeline, call) ? Text{", with SIGPIPE", " 并发 SIGPIPE"} : Text{});
      continue;
    }
    if (of_addresses.tell(call)) continue;
    // A question is no failure: CPython asks for the peer of each socket that nobody closed.
    if (call.meaning.effect == Effect::asks_address) continue;
    const auto* row = std::ranges::find_if(call_errors, [&](const CallErrorRow& r) {
      return r.error == returned->error && (r.call.empty() || r.call == entered.name);
    });
    if (row == std::end(call_errors)) continue;
    findings.add(row->rule, call.connection, Grade::observed, {call.entered, *call.returned}).slots = {
        {"who", actor_name(timeline, call)}, {"call", recording::call_line(entered, returned)}};
  }
  find_unbound_listeners(timeline, findings);
  find_small_backlogs(timeline, findings);
  find_multipath(timeline, findings);
}

}  // namespace tcpwhy::explain
