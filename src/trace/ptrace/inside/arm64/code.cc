// No recorder is written for this machine (machine::has_recorder): no place is one for it, and every call stops.
#include "trace/ptrace/inside/code.h"

namespace tcpwhy::trace {

bool InsideCode::is_site(pid_t, std::uint64_t) { return false; }
bool InsideCode::map(pid_t, RemoteCalls&, const InsideArea&, std::uint64_t) { return false; }
bool InsideCode::redirect(pid_t, std::uint64_t, bool, base::WallTime) { return false; }
bool InsideCode::withdraw(pid_t) { return false; }
void InsideCode::refuse_call(ThreadRegisters&, int) {}
void InsideCode::go_on(pid_t, base::WallTime) {}
std::uint64_t InsideCode::own_address(std::uint64_t address) const { return address; }
std::optional<std::uint64_t> InsideCode::after_trap(std::uint64_t) const { return std::nullopt; }
ThreadRegisters InsideCode::outside(const ThreadRegisters& inside, const Pushed&, std::uint64_t, std::uint64_t) {
  return inside;
}
bool InsideCode::is_in(pid_t) { return false; }
bool InsideCode::use_table(pid_t, std::optional<std::uint32_t>) { return false; }

std::optional<RemoteCalls> RemoteCalls::begin(pid_t) { return std::nullopt; }
std::optional<std::int64_t> RemoteCalls::call(long, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t,
                                              std::uint64_t, std::uint64_t) {
  return std::nullopt;
}
void RemoteCalls::end() {}

}  // namespace tcpwhy::trace
