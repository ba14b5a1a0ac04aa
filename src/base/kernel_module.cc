#include "base/kernel_module.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "base/format.h"

namespace tcpwhy::base {
namespace {

// modules.dep(5): "kernel/net/ipv4/tcp_diag.ko.xz: kernel/net/ipv4/inet_diag.ko.xz". In names of modules - and _ are the same.
bool has_module(const std::string& modules, std::string_view name) {
  std::ifstream file(modules + "/modules.dep");
  for (std::string line; std::getline(file, line);) {
    std::string_view path = std::string_view(line).substr(0, line.find(':'));
    path = path.substr(path.rfind('/') + 1);
    std::string module(path.substr(0, path.find(".ko")));
    for (char& c : module) c = c == '-' ? '_' : c;
    if (module == name) return true;
  }
  return false;
}

}  // namespace

OwnedText how_to_get_module(std::string_view name, std::string_view config, const std::string& modules, bool root) {
  if (!has_module(modules, name))
    return format({"this kernel has no module {}: it must be built with {}", "本内核没有模块 {}：构建内核时须启用 {}"},
                  name, config);
  if (root) return format({"its module is not loaded: modprobe {}", "模块未加载：modprobe {}"}, name);
  return format({"its module is not loaded; who administers this machine can: modprobe {}",
                 "模块未加载；本机的管理员可执行：modprobe {}"},
                name);
}

OwnedText how_to_get_module(std::string_view name, std::string_view config) {
  utsname system{};
  uname(&system);
  return how_to_get_module(name, config, fmt::format("/lib/modules/{}", system.release), geteuid() == 0);
}

}  // namespace tcpwhy::base
