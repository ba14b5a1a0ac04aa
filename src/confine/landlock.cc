#include "confine/landlock.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace tcpwhy::confine {
namespace {

// linux/landlock.h. A kernel of an earlier version takes the structure as far as it knows it.
struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;   // version 1
  std::uint64_t handled_access_net = 0;  // 4
  std::uint64_t scoped = 0;              // 6
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed_access = 0;
  std::int32_t parent_fd = -1;
};
constexpr std::uint32_t version_asked = 1U << 0U;  // LANDLOCK_CREATE_RULESET_VERSION
constexpr int path_beneath = 1;                    // LANDLOCK_RULE_PATH_BENEATH

// LANDLOCK_ACCESS_FS_*: bits of an order of time.
constexpr std::uint64_t write_file = 1U << 1U, read_file = 1U << 2U, read_dir = 1U << 3U, truncate = 1U << 14U;
constexpr std::uint64_t fs_accesses(int abi) {
  const unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;  // IOCTL_DEV, TRUNCATE, REFER
  return (std::uint64_t{1} << bits) - 1;
}
constexpr std::uint64_t bind_and_connect = 3;              // LANDLOCK_ACCESS_NET_BIND_TCP, _CONNECT_TCP
constexpr std::uint64_t abstract_sockets_and_signals = 3;  // LANDLOCK_SCOPE_*

long create_ruleset(const RulesetAttributes* attributes, std::size_t size, std::uint32_t flags) {
  return ::syscall(SYS_landlock_create_ruleset, attributes, size, flags);
}

std::size_t size_known_to(int abi) {
  if (abi >= 6) return sizeof(RulesetAttributes);
  if (abi >= 4) return offsetof(RulesetAttributes, scoped);
  return offsetof(RulesetAttributes, handled_access_net);
}

bool allow(const base::UniqueFd& rules, int fd, std::uint64_t access) {
  const PathBeneath rule{.allowed_access = access, .parent_fd = fd};
  return ::syscall(SYS_landlock_add_rule, rules.get(), path_beneath, &rule, 0U) == 0;
}

}  // namespace

int landlock_abi() {
  const long version = create_ruleset(nullptr, 0, version_asked);
  return version > 0 ? static_cast<int>(version) : 0;
}

base::UniqueFd make_landlock_rules(const Openable& openable) {
  const int abi = landlock_abi();
  if (abi == 0) return {};
  const std::uint64_t handled = fs_accesses(abi);
  const RulesetAttributes attributes{.handled_access_fs = handled,
                                     .handled_access_net = abi >= 4 ? bind_and_connect : 0,
                                     .scoped = abi >= 6 ? abstract_sockets_and_signals : 0};
  base::UniqueFd rules(static_cast<int>(create_ruleset(&attributes, size_known_to(abi), 0)));
  if (!rules.valid()) return rules;
  for (const int file : openable.files)
    if (!allow(rules, file, (read_file | write_file | truncate) & handled)) return {};
  for (const char* const name : openable.folders)
    if (const base::UniqueFd folder(::open(name, O_PATH | O_DIRECTORY | O_CLOEXEC)); folder.valid())
      if (!allow(rules, folder.get(), read_file | read_dir)) return {};
  return rules;
}

bool obey_landlock_rules(const base::UniqueFd& rules) {
  return rules.valid() && ::syscall(SYS_landlock_restrict_self, rules.get(), 0U) == 0;
}

}  // namespace tcpwhy::confine
