#include "capfile/strace/strace_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <utility>
#include <vector>

#include "base/format.h"
#include "calls/call.h"
#include "calls/spelling/address_text.h"
#include "calls/spelling/strace_line.h"
#include "capfile/formats/reader.h"
#include "capfile/input/unpacked_source.h"
#include "capfile/strace/strace_sockets.h"

namespace tcpwhy::capfile {
namespace {

using namespace std::chrono_literals;
using calls::CallRow;
using calls::Effect;
using calls::StraceArgument;
using calls::StraceCall;
using calls::StraceLine;
using calls::StraceLineKind;
using calls::StraceResult;
using recording::ActorId;
using recording::CallEntered;
using recording::CallReturned;
using recording::Event;
using wire::SocketAddress;

// A line's time is that of strace's first look at the call. It then decodes the arguments (for -yy it asks the kernel
// for the addresses), and only then lets the call go on, from where -T counts: half a millisecond later as a rule, more
// on a busy machine. Less than the shortest delayed ACK (TCP_DELACK_MIN, 40 ms), which is no reader's.
constexpr base::Duration decoding_takes = 30ms;

template <class Integer>
std::optional<Integer> number_in(std::string_view text) {
  Integer number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<StraceArgument> argument_of(const StraceCall& call, int index) {
  if (index < 0 || static_cast<std::size_t>(index) >= call.arguments.size()) return std::nullopt;
  return call.arguments[static_cast<std::size_t>(index)];
}

std::optional<std::int32_t> descriptor_at(const StraceCall& call, int index) {
  const auto argument = argument_of(call, index);
  return argument ? number_in<std::int32_t>(argument->text) : std::nullopt;
}

class Parser {
 public:
  explicit Parser(const StraceLimits& limits) : limits_(limits) {}

  // False: enough, nothing more is taken.
  bool take(std::string_view text) {
    ++log_.lines;
    const StraceLine line = calls::parse_strace_line(text);
    if (line.kind == StraceLineKind::unknown) {
      ++log_.not_understood;
      return true;
    }
    if (!line.at) return true;
    timed_ = true;
    const base::WallTime at = std::min(*line.at, latest_time);
    settle(at);
    const std::int32_t pid = line.pid.value_or(0);
    switch (line.kind) {
      case StraceLineKind::call: take_call(pid, at, line.name, line.text); break;
      case StraceLineKind::unfinished:
        unfinished_[pid] = {std::string(line.name), std::string(line.text), at};
        memory_ += line.text.size();
        break;
      case StraceLineKind::resumed: resume(pid, at, line); break;
      case StraceLineKind::signal: take_signal(pid, at, line); break;
      case StraceLineKind::exited:
      case StraceLineKind::killed: take_end(pid, at, line); break;
      case StraceLineKind::other:
      case StraceLineKind::unknown: break;
    }
    return memory_ + sockets_.memory() <= limits_.memory_bytes && call_ < UINT32_MAX / 4;
  }

  base::Result<StraceLog> finish(const std::string& name, bool complete) {
    if (!timed_) {
      const bool some = log_.lines > log_.not_understood;
      return base::fail(base::ErrorKind::unreadable,
                        some ? base::format({"{}: its lines have no absolute time", "{}：各行没有绝对时间"}, name)
                             : base::format({"{}: not a log of strace", "{}：不是 strace 的日志"}, name),
                        base::both("strace -f -ttt -T -yy -e trace=network,desc,process,close_range -o FILE"));
    }
    settle(std::nullopt);
    for (const auto& [pid, call] : unfinished_) never_returned(pid, call);
    auto& events = log_.calls.events;
    if (!complete) {
      const auto last = events.empty() ? base::WallTime{} : events.back().at;
      events.push_back({last, {}, recording::Loss{"rest of the strace log", 1, "no room for more"}});
    }
    recording::sort_by_time(log_.calls);
    using enum recording::Observation;
    log_.calls.provenance.observed = {calls_strace, signals, processes};
    return std::move(log_);
  }

 private:
  struct Unfinished {
    std::string name, text;
    base::WallTime at;
  };
  // A return whose time is not known yet: at most that of the next line.
  struct Unsettled {
    std::size_t event;
    base::WallTime earliest;  // its entry, and what -T says
    bool until_next;          // nothing else bounds it
  };

  void settle(std::optional<base::WallTime> next) {
    if (!unsettled_) return;
    base::WallTime at = unsettled_->earliest + decoding_takes;
    if (next) at = unsettled_->until_next ? *next : std::min(at, *next);
    log_.calls.events[unsettled_->event].at = std::clamp(at, std::min(unsettled_->earliest, latest_time), latest_time);
    unsettled_.reset();
  }

  ActorId actor(std::int32_t pid) {
    const auto [known, is_new] =
        actors_.try_emplace(pid, ActorId{static_cast<std::uint32_t>(log_.calls.actors.size())});
    if (is_new) {
      recording::Actor actor;
      actor.pid = actor.tid = pid;
      actor.name = pid == 0 ? "traced" : fmt::format("pid {}", pid);
      log_.calls.actors.push_back(std::move(actor));
    }
    return known->second;
  }

  std::size_t add(base::WallTime at, std::int32_t pid, recording::What what) {
    memory_ += sizeof(Event);
    log_.calls.events.push_back({at, actor(pid), std::move(what)});
    return log_.calls.events.size() - 1;
  }

  // --- Calls ---------------------------------------------------------------------------------------------------

  void resume(std::int32_t pid, base::WallTime at, const StraceLine& line) {
    const auto found = unfinished_.find(pid);
    if (found == unfinished_.end() || found->second.name != line.name) return;
    const Unfinished begun = std::move(found->second);
    unfinished_.erase(found);
    std::string_view rest = line.text;
    // "<... recvfrom resumed> <unfinished ...>) = ?": its process was killed in it.
    constexpr std::string_view still = " <unfinished ...>";
    if (rest.starts_with(still)) rest.remove_prefix(still.size());
    take_call(pid, begun.at, begun.name, begun.text + std::string(rest), at);
  }

  void never_returned(std::int32_t pid, const Unfinished& begun) { take_call(pid, begun.at, begun.name, begun.text); }

  void take_call(std::int32_t pid, base::WallTime at, std::string_view name, std::string_view text,
                 std::optional<base::WallTime> returned_at = std::nullopt) {
    const StraceCall call = calls::split_strace_call(text);
    const StraceResult result = calls::parse_strace_result(call.result);
    const CallRow* row = calls::find_call(name);
    if (row == nullptr) return note_elsewhere(pid, at, name, returned_at);
    if (row->effect == Effect::executes) return take_execution(pid, *row, call, result);

    const auto [fd, socket] = row->fd_range ? first_in_range(pid, call) : acted_on(pid, *row, call);
    if (socket == 0 && !opens_tcp(*row, call, result)) return note_elsewhere(pid, at, name, returned_at);

    CallEntered entered;
    entered.call = ++call_;
    entered.name = name;
    entered.fd = fd;
    entered.socket = socket;
    tell_connects();
    if (socket != 0) {
      learn_from(socket, *row, call, result);
      entered.local = sockets_[socket].local;
      entered.remote = sockets_[socket].remote;
    }
    if (const auto count = argument_of(call, static_cast<int>(row->byte_count)))
      entered.byte_count = number_in<std::uint64_t>(count->text);
    if (row->byte_count == calls::ByteCount::vectors)
      if (const auto pieces = argument_of(call, 2); pieces && pieces->text == "0") entered.byte_count = 0;
    CallReturned returned;
    returned.call = entered.call;
    returned.error = result.error;
    returned.result = result.error != 0 ? -1 : result.value.value_or(0);
    spell(*row, call, result, entered, returned);
    const Effect effect = calls::meaning_of(name, entered.arguments, "").effect;  // fcntl() may duplicate
    const bool makes = row->makes_descriptor || effect == Effect::duplicates;
    memory_ += entered.arguments.size() + returned.detail.size();
    add(at, pid, std::move(entered));
    calls_in_[pid] = {call_, result.error};
    if (!result.value) return;

    if (makes && result.error == 0 && *result.value >= 0 && *result.value <= INT32_MAX) {
      returned.new_fd = static_cast<std::int32_t>(*result.value);
      made(pid, *row, effect, socket, call, result, returned);
    } else if (socket != 0) {
      returned.socket = socket;
      returned.local = sockets_[socket].local;
      returned.remote = sockets_[socket].remote;
    }
    if (row->fd_range && result.error == 0)
      forget_range(pid, call);
    else if (effect == Effect::closes && fd && result.error != EBADF)
      sockets_.forget({pid, *fd});
    const base::WallTime end = returned_at.value_or(at);
    const std::size_t event = add(std::clamp(end, at, latest_time), pid, std::move(returned));
    const bool connects = effect == Effect::connects;
    if (connects && socket != 0 && !sockets_[socket].local) sockets_[socket].connect_returned = event;
    if (returned_at) return;
    // connect() must not seem to have come back before its SYN left.
    const bool until_next = connects || (row->may_wait && !result.took);
    unsettled_ = Unsettled{event, at + std::min(result.took.value_or(0ns), base::Duration(1h)), until_next};
  }

  struct ActedOn {
    std::optional<std::int32_t> fd;
    std::uint64_t socket = 0;  // 0: none that is known
  };

  // The first of the row's descriptors that is a TCP socket.
  ActedOn acted_on(std::int32_t pid, const CallRow& row, const StraceCall& call) {
    for (const int index : {row.fd_argument, row.second_fd_argument})
      if (const auto fd = descriptor_at(call, index))
        if (const std::uint64_t socket = sockets_.find({pid, *fd}, argument_of(call, index)->descriptor); socket != 0)
          return {fd, socket};
    return {};
  }

  // close_range(): the first TCP socket that it closes, by the calls that made them; the line shows none.
  ActedOn first_in_range(std::int32_t pid, const StraceCall& call) const {
    const auto range = range_of(call);
    const auto found = range ? sockets_.first_in(pid, range->first, range->second) : std::nullopt;
    return found ? ActedOn{found->first, found->second} : ActedOn{};
  }
  void forget_range(std::int32_t pid, const StraceCall& call) {
    if (const auto range = range_of(call)) sockets_.forget_range(pid, range->first, range->second);
  }
  // Of descriptors. Nothing where close_range() only marks them (CLOSE_RANGE_CLOEXEC).
  static std::optional<std::pair<std::int32_t, std::int32_t>> range_of(const StraceCall& call) {
    const auto first = argument_of(call, 0), last = argument_of(call, 1), flags = argument_of(call, 2);
    if (!first || !last || (flags && flags->text.contains("CLOEXEC"))) return std::nullopt;
    const auto from = number_in<std::uint32_t>(first->text), to = number_in<std::uint32_t>(last->text);
    constexpr std::uint32_t most = INT32_MAX;
    if (!from || *from > most) return std::nullopt;
    return std::pair{static_cast<std::int32_t>(*from), static_cast<std::int32_t>(std::min(to.value_or(most), most))};
  }

  static bool opens_tcp(const CallRow& row, const StraceCall& call, const StraceResult& result) {
    if (row.effect != Effect::makes_socket) return false;
    if (result.descriptor.empty()) return is_tcp_socket(call);
    return calls::parse_strace_socket(result.descriptor).value_or(calls::StraceSocket{}).tcp;
  }

  static bool is_tcp_socket(const StraceCall& call) {
    const auto family = argument_of(call, 0), type = argument_of(call, 1);
    return family && type && (family->text == "AF_INET" || family->text == "AF_INET6") &&
           type->text.starts_with("SOCK_STREAM");
  }

  // The arguments, "..." for what comes back, and that.
  static void spell(const CallRow& row, const StraceCall& call, const StraceResult& result, CallEntered& entered,
                    CallReturned& returned) {
    std::size_t first = SIZE_MAX, behind = SIZE_MAX;  // the arguments that come back
    const std::size_t count = call.arguments.size();
    if (result.value && result.error == 0) {
      const auto asked_for = [&](std::size_t i) { return i < count && call.arguments[i].text != "NULL"; };
      switch (row.effect) {
        case Effect::receives:  // bytes; recvfrom() also who sent them
          first = 1;
          behind = count >= 6 && row.hands_back_value() && asked_for(4) ? count : 2;
          break;
        case Effect::accepts:
        case Effect::asks_address:
          if (count >= 3 && asked_for(1)) first = 1, behind = 3;
          break;
        case Effect::gets_option: first = 3, behind = 5; break;
        default: break;
      }
    }
    const auto append = [](std::string& text, std::string_view piece) {
      if (!text.empty()) text += ", ";
      text += piece;
    };
    for (std::size_t i = 0; i < count; ++i) {
      if (i >= first && i < behind) {
        append(returned.detail, call.arguments[i].text);
        if (i == first) append(entered.arguments, "...");
      } else {
        append(entered.arguments, call.arguments[i].text);
      }
    }
    if (returned.detail.empty()) returned.detail = result.detail;
  }

  // Of what a process does elsewhere only the last call before its end is kept: it had not ended before.
  void note_elsewhere(std::int32_t pid, base::WallTime at, std::string_view name,
                      std::optional<base::WallTime> returned_at) {
    calls_in_.erase(pid);
    const bool comes_back = calls::effect_of(name) != Effect::ends;
    if (comes_back) elsewhere_[pid] = {std::string(name), {}, std::max(at, returned_at.value_or(at))};
  }
  void tell_elsewhere(std::int32_t pid) {
    const auto last = elsewhere_.extract(pid);
    if (last.empty()) return;
    const auto& [name, _, at] = last.mapped();
    CallEntered entered;
    entered.call = ++call_;
    entered.name = name;
    add(at, pid, std::move(entered));
    CallReturned returned;
    returned.call = call_;
    add(at, pid, std::move(returned));
  }

  // --- Sockets -------------------------------------------------------------------------------------------------

  // A connect() that had come back before the addresses of its socket were known learns them.
  void tell_connects() {
    for (const auto& [event, socket] : sockets_.take_learned()) {
      auto& returned = std::get<CallReturned>(log_.calls.events[event].what);
      returned.local = sockets_[socket].local;
      returned.remote = sockets_[socket].remote;
    }
  }

  // What a call's arguments say of its socket.
  void learn_from(std::uint64_t socket, const CallRow& row, const StraceCall& call, const StraceResult& result) {
    StraceSockets::Socket& known = sockets_[socket];
    const auto address = argument_of(call, 1);
    if (!address) return;
    const auto parsed = calls::read_address(address->text);
    if (!parsed) return;
    if (row.effect == Effect::connects && (!known.remote || !known.local)) {
      known.remote = *parsed;
      if (const auto fd = descriptor_at(call, row.fd_argument)) sockets_.connects(*fd, socket);
    }
    if (row.effect == Effect::binds && !known.local && parsed->port != 0 && result.error == 0) known.local = *parsed;
    if (row.name == "getsockname" && !known.local && result.error == 0) known.local = *parsed;
  }

  // A descriptor came to be. `from`: the socket that the call acted on.
  void made(std::int32_t pid, const CallRow& row, Effect effect, std::uint64_t from, const StraceCall& call,
            const StraceResult& result, CallReturned& returned) {
    const StraceSockets::Descriptor place{pid, *returned.new_fd};
    if (effect == Effect::makes_socket) {
      const auto shown = calls::parse_strace_socket(result.descriptor);
      const std::uint64_t socket = sockets_.add(shown ? shown->inode : 0);
      sockets_.put(place, socket);
      returned.socket = socket;
      return;
    }
    if (effect == Effect::duplicates) {
      if (row.closes_another) {  // of a socket, or over one
        const auto fd = descriptor_at(call, row.fd_argument);
        from = fd ? sockets_.find({pid, *fd}, argument_of(call, row.fd_argument)->descriptor) : 0;
      }
      if (from == 0) return sockets_.forget(place);
      sockets_.put(place, from);
      returned.socket = from;
      returned.local = sockets_[from].local;
      returned.remote = sockets_[from].remote;
      return;
    }
    const auto shown = calls::parse_strace_socket(result.descriptor);
    const std::uint64_t socket = sockets_.add(shown ? shown->inode : 0);
    if (shown && shown->remote) {
      sockets_.set_ends(socket, {*shown->local, *shown->remote});
    } else {
      if (const auto address = argument_of(call, 1)) sockets_[socket].remote = calls::read_address(address->text);
      const auto& listens = sockets_[from].local;
      if (listens && !listens->ip.is_unspecified()) sockets_[socket].local = listens;
    }
    sockets_.put(place, socket);
    returned.socket = socket;
    returned.local = sockets_[socket].local;
    returned.remote = sockets_[socket].remote;
  }

  // --- Processes -----------------------------------------------------------------------------------------------

  // execve(path, ...), execveat(dirfd, path, ...): a process has another name.
  void take_execution(std::int32_t pid, const CallRow& row, const StraceCall& call, const StraceResult& result) {
    const auto path = argument_of(call, row.piece_count > 0 ? row.pieces[0].pointer_argument : 0);
    if (!path || result.error != 0 || path->text.size() < 2 || !path->text.starts_with('"')) return;
    std::string_view command(path->text);
    command = command.substr(1, command.find('"', 1) - 1);
    const auto slash = command.rfind('/');
    if (slash != std::string_view::npos) command.remove_prefix(slash + 1);
    if (command.empty()) return;
    auto& known = log_.calls.actors[actor(pid).value];
    known.name = known.command = command;
  }

  void take_signal(std::int32_t pid, base::WallTime at, const StraceLine& line) {
    if (line.name == "SIGCHLD") return;  // says nothing of a connection
    recording::Signal signal;
    signal.name = line.name;
    const auto last = calls_in_.find(pid);
    const bool inside_another = unfinished_.contains(pid);  // of one that never returned, in the log of -o strace
    // As send_sig() has it; raise() and timers have others. -X raw and verbose spell the number.
    const bool by_kernel = !line.text.contains("si_code=") || line.text.contains("si_code=SI_USER") ||
                           line.text.contains("si_code=0,") || line.text.contains("si_code=0 ") ||
                           line.text.contains("si_code=0}");
    if (line.name == "SIGPIPE" && by_kernel && !inside_another && last != calls_in_.end() &&
        last->second.error == EPIPE)
      signal.call = last->second.call;
    add(at, pid, std::move(signal));
  }

  void take_end(std::int32_t pid, base::WallTime at, const StraceLine& line) {
    tell_elsewhere(pid);
    recording::ProcessEnded ended;
    if (line.kind == StraceLineKind::exited)
      ended.exit_status = line.status;
    else
      ended.signal = line.name;
    if (const auto found = unfinished_.find(pid); found != unfinished_.end()) {
      const std::uint32_t before = call_;
      never_returned(pid, found->second);
      unfinished_.erase(found);
      if (call_ != before) ended.call = call_;
    }
    add(at, pid, std::move(ended));
    sockets_.forget_process(pid);
    calls_in_.erase(pid);
  }

  struct LastCall {
    std::uint32_t call;
    std::int32_t error;
  };

  const StraceLimits& limits_;
  StraceLog log_;
  bool timed_ = false;
  std::uint64_t memory_ = 0;
  std::uint32_t call_ = 0;
  std::map<std::int32_t, ActorId> actors_;
  std::map<std::int32_t, Unfinished> unfinished_, elsewhere_;
  std::map<std::int32_t, LastCall> calls_in_;
  std::optional<Unsettled> unsettled_;
  StraceSockets sockets_;
};

base::Result<StraceLog> parse(ByteSource& source, const std::string& name, const StraceLimits& limits) {
  Parser parser(limits);
  std::string line;
  std::array<std::uint8_t, 65536> room{};
  bool enough = false;
  const auto end_line = [&] {
    enough = !parser.take(line);
    line.clear();
  };
  while (!enough) {
    const std::size_t read = source.read(room);
    if (read == 0) break;
    for (std::size_t i = 0; i < read && !enough; ++i) {
      const auto c = static_cast<char>(room[i]);
      if (c == '\n')
        end_line();
      else if (line.size() < limits.line_bytes)
        line += c;
    }
  }
  if (const auto failure = source.failure())
    return base::fail(base::ErrorKind::unreadable, base::format({"{}: {}", "{}：{}"}, name, *failure));
  if (!enough && !line.empty()) end_line();
  return parser.finish(name, !enough);
}

}  // namespace

base::Result<StraceLog> read_strace(const std::string& path, const StraceLimits& limits) {
  const auto input = Input::open(path);
  if (!input) return std::unexpected(input.error());
  return read_strace(*input, limits);
}

base::Result<StraceLog> read_strace(const Input& input, const StraceLimits& limits) {
  const auto source = decompressed(input_source(input));
  return parse(*source, input.name(), limits);
}

base::Result<StraceLog> parse_strace(std::string_view text, const std::string& name, const StraceLimits& limits) {
  const auto source = memory_source({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  return parse(*source, name, limits);
}

}  // namespace tcpwhy::capfile
