// tcpwhy ps: the TCP sockets of this moment, and what is wrong with them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/format.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output/form.h"
#include "cli/output/view.h"
#include "explain/rules/sockets.h"
#include "observe/netns.h"
#include "observe/socket_facts.h"
#include "render/reports/sockets_report.h"

namespace tcpwhy::cli {
namespace {

struct PsOptions {
  observe::SocketFilter filter;
  std::vector<std::string> hosts;
  Form form = Form::text;
  bool all = false;
  std::size_t top = 20;
  std::string netns;
  FailOn fail_on;
};

int status_of(const explain::SocketsVerdict& verdict, const FailOn& fail_on) {
  const auto bad = [&](const auto& found) { return found.severity >= *fail_on; };
  const bool ill =
      fail_on && (std::ranges::any_of(verdict.findings, bad) || std::ranges::any_of(verdict.time_waits, bad));
  return ill ? base::exit_status(base::ErrorKind::expectation) : 0;
}

int run_ps(PsOptions options, Context& context) {
  for (const auto& text : options.hosts) {
    const auto host = wire::IpAddress::parse(text);
    if (!host)
      return report({base::ErrorKind::usage,
                     base::format({"'{}' is no IP address", "“{}”不是 IP 地址"}, text),
                     {"an address such as 127.0.0.1 or ::1", "127.0.0.1 或 ::1 这样的地址"}});
    options.filter.hosts.push_back(*host);
  }
  if (!options.netns.empty())
    if (const auto entered = observe::enter_netns(options.netns); !entered) return report(entered.error());
  auto facts = observe::collect_socket_facts();
  if (!facts) return report(facts.error());
  observe::apply(options.filter, *facts);
  const auto verdict = explain::judge(*facts);
  if (options.form == Form::json)
    render::write_sockets_json(*facts, verdict, context.language(),
                               [&](std::string_view text) { context.out.write(text); });
  else
    context.out.write(render::sockets_report(
        *facts, verdict,
        {.text = {.language = context.language(), .width = context.width(), .color = context.color()},
         .all = options.all,
         .top = options.top}));
  return status_of(verdict, options.fail_on);
}

}  // namespace

void add_ps_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* command = app.add_subcommand(
      "ps", description({"The TCP sockets of now, and what is wrong with them", "现在的 TCP 套接字，以及其中的问题"},
                        {{"sudo tcpwhy ps", {"what is wrong, worst first", "有什么问题，最严重的在前"}},
                         {"tcpwhy ps --all --port 5432", {"every socket of a port", "某端口的所有套接字"}},
                         {"tcpwhy ps --fail-on error",
                          {"for a script: status 1 if there is such a finding", "用于脚本：有此类发现时状态为 1"}}}));
  const auto options = std::make_shared<PsOptions>();
  command->add_flag("-a,--all", options->all,
                    said({"Healthy ones too, and each by itself", "也列出正常的，并逐个显示"}));
  in_range(command->add_option("--top", options->top,
                               said(base::format({"No more than so many findings, the worst; 0: all (default: {})",
                                                  "最多显示多少个发现，最严重的在前；0：全部（默认：{}）"},
                                                 options->top))),
           {});
  command
      ->add_option("--netns", options->netns,
                   said({"Another network namespace: a name of ip-netns(8), a file, or a process's number (root)",
                         "另一个网络命名空间：ip-netns(8) 的名称、文件，或进程号（需要 root）"}))
      ->option_text("NAME");
  in_range(command->add_option("--port", options->filter.ports,
                               said({"Only sockets with this local or remote port (1 to 65535); may be repeated",
                                     "只要本地或对端是此端口（1 到 65535）的套接字；可重复"})),
           a_port);
  command
      ->add_option(
          "--host", options->hosts,
          said({"Only with this local or remote address; may be repeated", "只要本地或对端是此地址的；可重复"}))
      ->option_text("ADDRESS");
  in_range(
      command->add_option("-p,--pid", options->filter.pids,
                          said({"Only those that this process holds; may be repeated", "只要此进程持有的；可重复"})),
      a_process)
      ->option_text("PID");
  add_choice(*command, "-o,--output", options->form, Choices<Form>{{"text", Form::text}, {"json", Form::json}},
             {"Words (text, the default) or a JSON document (json)", "文字（text，默认）或 JSON 文档（json）"});
  add_fail_on(*command, options->fail_on);
  add_settings(*command, settings);
  command->callback([&chosen, options] { chosen = [options](Context& context) { return run_ps(*options, context); }; });
}

}  // namespace tcpwhy::cli
