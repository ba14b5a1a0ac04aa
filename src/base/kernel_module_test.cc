#include "base/kernel_module.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace tcpwhy::base {
namespace {

TEST(KernelModule, names_the_command_and_who_can_give_it) {
  const auto folder = std::filesystem::temp_directory_path() / ("tcpwhy-modules-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "modules.dep") << "kernel/net/ipv4/tcp_diag.ko.xz: kernel/net/ipv4/inet_diag.ko.xz\n"
                                           "kernel/net/sched/sch-netem.ko:\n";
  EXPECT_EQ(how_to_get_module("tcp_diag", "CONFIG_INET_TCP_DIAG", folder, true).en,
            "its module is not loaded: modprobe tcp_diag");
  EXPECT_EQ(how_to_get_module("sch_netem", "CONFIG_NET_SCH_NETEM", folder, false).en,
            "its module is not loaded; who administers this machine can: modprobe sch_netem");
  EXPECT_EQ(how_to_get_module("inet_diag", "CONFIG_INET_DIAG", folder, true).en,
            "this kernel has no module inet_diag: it must be built with CONFIG_INET_DIAG");
  EXPECT_EQ(how_to_get_module("veth", "CONFIG_VETH", folder / "nothing", true).en,
            "this kernel has no module veth: it must be built with CONFIG_VETH");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tcpwhy::base
