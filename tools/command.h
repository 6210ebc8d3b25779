// The commands of doppel and what they share. Each tools/<command>.cpp adds one
// subcommand: its flags, and a callback that calls faceswap.
#pragma once
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

struct Context {
  bool json = false;   // machine-readable results on stdout
  bool quiet = false;  // no progress
  std::string command_line;
};

void add_extract(CLI::App& app, Context& context);
void add_review(CLI::App& app, Context& context);
void add_faces(CLI::App& app, Context& context);
void add_train(CLI::App& app, Context& context);
void add_convert(CLI::App& app, Context& context);
void add_demo(CLI::App& app, Context& context);
void add_synth(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);

inline void print_json(const nlohmann::ordered_json& json) { fmt::print("{}\n", json.dump(2)); }

// Adds options to one command: add("--seed", seed, "Of all random numbers").
class OptionAdder {
 public:
  explicit OptionAdder(CLI::App* command) : command_(command) {}
  template <class T>
  CLI::Option* operator()(const char* name, T& value, const std::string& help) const {
    return command_->add_option(name, value, help);
  }
  // An argument that must be given; `type` stands for it in the help.
  template <class T>
  void required(const char* name, T& value, const char* type, const char* help) const {
    (*this)(name, value, help)->required()->type_name(type);
  }
  // One of a fixed set of words.
  void choice(const char* name, std::string& value, const std::string& help,
              const std::vector<std::string>& words) const {
    command_->add_option(name, value, help)->check(CLI::IsMember(words));
  }
  void device(std::string& value) const {
    choice("--device", value, "auto, cpu or cuda", {"auto", "cpu", "cuda"});
  }
  template <class Detection> void detection(Detection& options) const {
    (*this)("--detector", options.detector,
            "centerface (a network; tools/install_deps.sh faces), cascade, yunet=FILE with a YuNet "
            "model file, or auto: centerface where it is installed");
    choice("--landmarks", options.landmarks,
           "The eyes that align a face: mesh (a network of 468 points; tools/install_deps.sh "
           "faces), eyes (the detector's own), or auto: mesh where it is installed. Extract both "
           "people and convert with the same",
           {"auto", "mesh", "eyes"});
    (*this)("--min-face", options.min_face,
            "Smallest face, as a share of the frame's short side; 0: from 24 pixels by networks, "
            "0.12 by cascades")
        ->check(CLI::Range(0.0, 1.0));
  }

 private:
  CLI::App* command_;
};
