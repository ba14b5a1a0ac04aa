#include "render/strace/strace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/text.h"
#include "calls/call.h"
#include "calls/names.h"
#include "calls/spelling/line.h"

namespace tcpwhy::render {
namespace {

using recording::ActorId;
using recording::CallEntered;
using recording::CallReturned;
using recording::Event;
using recording::ProcessEnded;
using recording::Recording;
using recording::Signal;
using recording::SignalFate;

constexpr std::size_t result_column = 40;      // strace -a
constexpr std::int32_t first_of_kernel = 512;  // ERESTARTSYS and its like, which no program is handed

std::string seconds(std::int64_t ns) {
  constexpr std::int64_t second = 1'000'000'000;
  return fmt::format("{}.{:06}", ns / second, ns % second / 1000);
}

// A signal came out of a call that failed so: strace is told of it when the call has returned, whenever it was raised.
bool is_of_a_signal(std::int32_t error) { return error == EPIPE || error == EINTR || error >= first_of_kernel; }

// What strace is told of before the program gets it: of an ignored one too, of SIGKILL never.
bool is_given(const Signal& signal) {
  return signal.fate != SignalFate::generated && signal.fate != SignalFate::blocked && signal.name != "SIGKILL";
}

class Log {
 public:
  Log(const Recording& recording, const WriteText& write) : recording_(recording), write_(write) {
    for (const Event& event : recording.events)
      if (const auto* returned = std::get_if<CallReturned>(&event.what))
        if (is_of_a_signal(returned->error)) failing_.insert(returned->call);
  }

  void print() {
    for (const Event& event : recording_.events) {
      if (const auto* entered = std::get_if<CallEntered>(&event.what))
        enter(event, *entered);
      else if (const auto* returned = std::get_if<CallReturned>(&event.what))
        leave(event, *returned);
      else if (const auto* signal = std::get_if<Signal>(&event.what))
        raise(event, *signal);
      else if (std::holds_alternative<ProcessEnded>(event.what))
        print_line(event.at, event.actor, recording::message(event, nullptr));
    }
    interrupt();
  }

 private:
  struct Inside {
    const Event* entry = nullptr;
    std::vector<const Event*> signals;  // to be told when it has returned
  };

  // --- Calls ---

  void enter(const Event& event, const CallEntered& entered) {
    if (!entered.through.empty()) return;
    begin_line(event.at, event.actor);
    line_ += base::escape_controls(calls::line_pieces(entered.name, entered.arguments, {}).entry);
    open_ = entered.call;
    if (calls::effect_of(entered.name) == calls::Effect::ends) return never_returns();
    inside_[entered.call].entry = &event;
  }

  // exit_group(0) = ?
  void never_returns() {
    line_ += ')';
    pad();
    line_ += " = ?";
    end_line();
  }

  void leave(const Event& event, const CallReturned& returned) {
    const auto found = inside_.find(returned.call);
    if (found == inside_.end()) return;
    const Inside inside = std::move(found->second);
    inside_.erase(found);
    const auto& entered = std::get<CallEntered>(inside.entry->what);
    if (open_ != returned.call) {
      begin_line(event.at, inside.entry->actor);
      line_ += base::escape_controls(fmt::format("<... {} resumed>", entered.name));
    }
    line_ += base::escape_controls(calls::line_pieces(entered.name, entered.arguments, returned.detail).rest);
    pad();
    line_ += returned.error >= first_of_kernel ? fmt::format(" = ? {}", calls::error_text(returned.error))
                                               : recording::call_result(entered, returned);
    line_ += fmt::format(" <{}>", seconds(std::max<std::int64_t>(0, (event.at - inside.entry->at).count())));
    end_line();
    for (const Event* signal : inside.signals) print_signal(event.at, *signal);
  }

  // --- Signals ---

  void raise(const Event& event, const Signal& signal) {
    if (!is_given(signal)) return;
    const auto inside = signal.call && failing_.contains(*signal.call) ? inside_.find(*signal.call) : inside_.end();
    if (inside != inside_.end())
      inside->second.signals.push_back(&event);
    else
      print_signal(event.at, event);
  }

  void print_signal(base::WallTime at, const Event& event) {
    print_line(at, event.actor, base::escape_controls(fmt::format("--- {} ---", std::get<Signal>(event.what).name)));
  }

  // --- Lines ---

  [[nodiscard]] std::int32_t thread(ActorId actor) const {
    if (!actor.valid()) return 0;
    const auto& known = recording_.actors[actor.value];
    return known.tid != 0 ? known.tid : known.pid;
  }

  // Another line has to be written where one is open.
  void interrupt() {
    if (!open_) return;
    line_ += " <unfinished ...>";
    end_line();
  }
  void begin_line(base::WallTime at, ActorId actor) {
    interrupt();
    line_ = fmt::format("{:<5} {} ", thread(actor), seconds(base::to_ns(at)));
  }
  void pad() { line_.resize(std::max(line_.size(), result_column - 1), ' '); }
  void end_line() {
    open_.reset();
    line_ += '\n';
    write_(line_);
  }
  void print_line(base::WallTime at, ActorId actor, const std::string& text) {
    begin_line(at, actor);
    line_ += text;
    end_line();
  }

  const Recording& recording_;
  const WriteText& write_;
  std::unordered_set<std::uint32_t> failing_;         // calls, is_of_a_signal()
  std::unordered_map<std::uint32_t, Inside> inside_;  // calls that have not returned
  std::string line_;
  std::optional<std::uint32_t> open_;  // the call whose line it is, as far as its entry goes
};

}  // namespace

void write_strace(const Recording& recording, const WriteText& write) { Log(recording, write).print(); }

std::string strace_log(const Recording& recording) {
  std::string log;
  write_strace(recording, [&log](std::string_view text) { log += text; });
  return log;
}

}  // namespace tcpwhy::render
