// Whether what reads other people's bytes can be kept from doing anything else.
#include <fmt/format.h>

#include <sstream>

#include "confine/confine.h"
#include "doctor/child.h"
#include "doctor/probe.h"

namespace tcpwhy::doctor {
namespace {

// As words: was root, its user now (0: as before), capabilities gone, Landlock's version, seccomp.
std::string enter_and_tell() {
  const auto walls = confine::enter();
  if (!walls) return {};
  return fmt::format("{} {} {} {} {}", int{walls->was_root}, walls->user.value_or(0), int{walls->no_capabilities},
                     walls->landlock, int{walls->seccomp});
}

}  // namespace

void examine_confinement(std::vector<Probe>& probes) {
  Probe probe{.id = "confinement",
              .title = {"reading without rights", "无权限读取"},
              .answer = Answer::no,
              .found = {"a child could not be confined", "无法限制子进程"},
              .needed_for = {"captures, recordings, logs and debug information made to harm who reads them",
                             "读取可能蓄意加害读取者的抓包、记录、日志和调试信息"},
              .more = {}};
  std::istringstream words(ask_in_child(enter_and_tell));
  int was_root = 0, capabilities_gone = 0, landlock = 0, seccomp = 0;
  unsigned user = 0;
  if (words >> was_root >> user >> capabilities_gone >> landlock >> seccomp) {
    const auto put = [&probe](const std::string& en, const std::string& zh) {
      probe.found.join({", ", "、"}, {en, zh});
    };
    const bool safe_user = was_root == 0 || user != 0;
    probe.found = {};
    if (user != 0) put(fmt::format("user {} instead of root", user), fmt::format("用户 {}（不再是 root）", user));
    if (!safe_user) put("still root, for there is no other user here", "仍为 root，因为这里没有别的用户");
    put(capabilities_gone != 0 ? "no capabilities" : "capabilities stay",
        capabilities_gone != 0 ? "无 capability" : "保留 capability");
    put(landlock > 0 ? fmt::format("Landlock {}", landlock) : "no Landlock",
        landlock > 0 ? fmt::format("Landlock {}", landlock) : "无 Landlock");
    put(seccomp != 0 ? "seccomp" : "no seccomp", seccomp != 0 ? "seccomp" : "无 seccomp");
    const bool all = safe_user && capabilities_gone != 0 && landlock > 0 && seccomp != 0;
    probe.answer = all ? Answer::yes : seccomp != 0 || landlock > 0 ? Answer::partly : Answer::no;
  }
  if (probe.answer != Answer::yes)
    probe.more = {
        "Landlock: Linux 5.13 with landlock among the lsm= of its command line; seccomp: CONFIG_SECCOMP_FILTER; in a "
        "container: a seccomp profile that allows both",
        "Landlock：Linux 5.13 起，且内核命令行 lsm= 中含 landlock；seccomp：CONFIG_SECCOMP_FILTER；在容器中：允许两者的 "
        "seccomp 配置"};
  probes.push_back(std::move(probe));
}

}  // namespace tcpwhy::doctor
