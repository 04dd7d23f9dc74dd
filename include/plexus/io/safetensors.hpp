// Weights in safetensors files, which PyTorch reads and writes too: safetensors.torch.load_file() gives a
// state_dict for the nn.Sequential of the same layers. Needs nlohmann-json.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/io/safetensors_format.hpp>
#include <plexus/least_loss_epoch.hpp>
#include <plexus/losses/loss_scaling.hpp>
#include <plexus/optimizers/plateau.hpp>

#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <unordered_map>

namespace plexus::inline PLEXUS_ABI {

// All of a safetensors file, whatever its dtypes. Throws plexus::error where it is damaged.
inline tensor_file read_safetensors(const std::filesystem::path& path) {
  return safetensors::read(byte_source(path, "reading the safetensors file " + quoted(path)));
}

// The same from memory.
inline tensor_file parse_safetensors(std::span<const std::byte> bytes) {
  return safetensors::read(byte_source(bytes, "reading safetensors data in memory"));
}

// Writes the tensors, whole or not at all.
inline void write_safetensors(const std::filesystem::path& path, const std::vector<stored_tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  atomic_file file(path, "writing the safetensors file " + quoted(path));
  const auto order = safetensors::data_order(tensors);
  const std::string header = safetensors::header(order, metadata, file);
  file.write(std::as_bytes(std::span(header)));
  for (const stored_tensor* tensor : order) file.write(tensor->data);
  file.commit();
}

namespace safetensors {

// PyTorch counts the batches that a BatchNorm has seen. Nothing depends on it unless its momentum is None.
inline bool is_batch_count(const entry& tensor) {
  return tensor.name.ends_with(".num_batches_tracked") && tensor.dtype == "I64" && tensor.shape.empty();
}

// The tensors of `file`, in the order of `wanted` (whose data play no part). All that is missing, surplus or
// of another dtype or shape is named in one error, before any data are read.
inline std::vector<stored_tensor> read_fitting(reader file, std::vector<stored_tensor> wanted) {
  std::unordered_map<std::string, std::size_t> found;
  for (std::size_t i = 0; i < file.entries().size(); ++i) found.emplace(file.entries()[i].name, i);
  std::vector<std::string> missing, misshapen, surplus;
  std::vector<std::size_t> source(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto at = found.find(wanted[i].name);
    if (at == found.end()) {
      missing.push_back(shown(wanted[i].name));
      continue;
    }
    source[i] = at->second;
    found.erase(at);
    const entry& there = file.entries()[source[i]];
    if (there.dtype != wanted[i].dtype || there.shape != wanted[i].shape) {
      misshapen.push_back(shown(there.name) + " is " + there.dtype + " " + shape_text(there.shape) +
                          " in the file and " + wanted[i].dtype + " " + shape_text(wanted[i].shape) +
                          " in the network");
    }
  }
  for (const entry& there : file.entries()) {
    if (found.contains(there.name) && !is_batch_count(there)) surplus.push_back(shown(there.name));
  }
  std::vector<std::string> wrong;
  if (!missing.empty()) wrong.push_back("missing from the file: " + listed(missing));
  if (!surplus.empty()) wrong.push_back("not in the network: " + listed(surplus));
  if (!misshapen.empty()) wrong.push_back("of another shape: " + listed(misshapen));
  if (!wrong.empty()) {
    std::string text = wrong[0];
    for (std::size_t i = 1; i < wrong.size(); ++i) text += ", " + wrong[i];
    file.refuse(
        text,
        "give a file saved by the same function from a network with the same layers; nothing was loaded");
  }
  auto data = file.read_data();
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i].data = std::move(data[source[i]]);
  return wanted;
}

// Appends what the file calls these parameters; their data are left empty.
template <class Parameters>
void describe(const Parameters& parameters, const std::string& prefix, std::vector<stored_tensor>& tensors,
              const std::string& suffix = "") {
  for (const auto& parameter : parameters) {
    tensors.push_back(
        {prefix + parameter.name + suffix, "F32", {parameter.shape.begin(), parameter.shape.end()}, {}});
  }
}

// Device to host: parameters[i] into tensors[i].
template <class Parameters>
void download(cudaStream_t stream, const Parameters& parameters, std::span<stored_tensor> tensors) {
  for (std::size_t i = 0; const auto& parameter : parameters) {
    std::vector<float> values(parameter.values.size);
    copy_to_host<float>(stream, values, parameter.values.data);
    const auto bytes = std::as_bytes(std::span(values));
    tensors[i++].data.assign(bytes.begin(), bytes.end());
  }
}

// Host to device: tensors[i], whose shape has been checked, into parameters[i].
template <class Parameters>
void upload(cudaStream_t stream, const Parameters& parameters, std::span<const stored_tensor> tensors) {
  for (std::size_t i = 0; const auto& parameter : parameters) {
    std::vector<float> values(parameter.values.size);
    std::ranges::copy(tensors[i++].data, std::as_writable_bytes(std::span(values)).begin());
    copy_to_device<float>(stream, parameter.values.data, values);
    check(cudaStreamSynchronize(stream), "copying weights to the device");
  }
}

inline constexpr const char* optimizer_key = "optimizer";  // of the metadata: its name
inline constexpr const char* optimizer_prefix = "optimizer.";
inline constexpr const char* best_prefix = "best.";  // of the tensors that early stopping keeps

// The numbers that training goes on from, besides tensors.
struct training_numbers {
  std::uint64_t epoch = 0, step = 0, optimizer_updates = 0, seed = 0;
  std::optional<loss_scale> scale{};       // in FP16
  std::optional<plateau_state> plateau{};  // where there was one
  std::optional<least_loss_epoch> best{};  // where early stopping looks for one, without its tensors
};

// visit(name, number) for each that there is.
template <class Numbers, class Visit>
void for_each_number(Numbers& of, const Visit& visit) {
  visit("training.epoch", of.epoch);
  visit("training.step", of.step);
  visit("training.optimizer_updates", of.optimizer_updates);
  visit("training.seed", of.seed);
  if (of.scale) {
    visit("training.loss_scale", of.scale->scale);
    visit("training.good_steps", of.scale->good_steps);
    visit("training.skipped_steps", of.scale->skipped);
  }
  if (of.plateau) {
    visit("training.plateau.least_loss", of.plateau->least_loss);
    visit("training.plateau.bad_epochs", of.plateau->bad_epochs);
    visit("training.plateau.cooldown", of.plateau->cooldown);
    visit("training.plateau.rate_factor", of.plateau->rate_factor);
  }
  if (of.best) {
    visit("training.best.loss", of.best->loss);
    visit("training.best.epoch", of.best->epoch);
  }
}

// Appends them as tensors without extents.
inline void append_numbers(const training_numbers& numbers, std::vector<stored_tensor>& tensors) {
  for_each_number(numbers, [&]<class T>(const char* name, T value) {
    const auto bytes = std::bit_cast<std::array<std::byte, sizeof value>>(value);
    const char* dtype = std::is_same_v<T, float> ? "F32" : std::is_same_v<T, double> ? "F64" : "U64";
    tensors.push_back({name, dtype, {}, {bytes.begin(), bytes.end()}});
  });
}

// Reads them from the first of these tensors, whose dtypes, and so sizes, have been checked; returns the
// others. Throws where they cannot be what training left.
inline std::span<const stored_tensor> read_numbers(std::span<const stored_tensor> tensors,
                                                   training_numbers& numbers) {
  std::size_t count = 0;
  for_each_number(numbers, [&]<class T>(const char*, T& value) {
    std::memcpy(&value, tensors[count++].data.data(), sizeof value);
  });
  if (numbers.scale) numbers.scale->validate();
  if (numbers.plateau) numbers.plateau->validate();
  require(!numbers.best || (!std::isnan(numbers.best->loss) && numbers.best->epoch <= numbers.epoch),
          "restoring the best epoch", "its loss is not a number, or it is a later epoch than the last one",
          "give a checkpoint of save_checkpoint()");
  return tensors.subspan(count);
}

template <class Network>
training_numbers numbers_of(Network& net) {
  const auto& counters = net.training_state();
  training_numbers numbers{counters.epoch, counters.step, net.optimizer_updates(), counters.random.value};
  if constexpr (Network::scales_loss) numbers.scale = net.loss_scale();
  if (net.plateau() != plateau_state{}) numbers.plateau = net.plateau();
  if (const auto& best = net.best_epoch()) numbers.best = least_loss_epoch{best->loss, best->epoch, {}};
  return numbers;
}

// Back into the network, with room for so many values that the optimiser of that name keeps of a parameter:
// first of all, as there may be no memory for them.
template <class Network>
void restore_numbers(Network& net, training_numbers numbers, const std::string& optimizer, int values) {
  if (values > 0 || numbers.optimizer_updates > 0) {
    net.restore_optimizer(optimizer, values, numbers.optimizer_updates);
  } else {
    net.forget_optimizer();
  }
  if constexpr (Network::scales_loss) net.restore_loss_scale(*numbers.scale);
  net.restore_training_state({numbers.epoch, numbers.step, {numbers.seed}});
  net.set_plateau(numbers.plateau.value_or(plateau_state{}));
  net.best_epoch() = std::move(numbers.best);
}

inline std::size_t count_with_prefix(const reader& file, const std::string& prefix) {
  return static_cast<std::size_t>(std::ranges::count_if(
      file.entries(), [&](const entry& tensor) { return tensor.name.starts_with(prefix); }));
}

// How many values the file has of each of so many parameters for an optimiser: as many as hold all that it
// has.
inline int optimizer_values(const reader& file, std::size_t parameters) {
  const std::size_t stored = count_with_prefix(file, optimizer_prefix);
  return parameters == 0 ? 0 : static_cast<int>((stored + parameters - 1) / parameters);
}

// The tensors that early stopping keeps, with the names that `tensors` of the same order have; none where it
// keeps none.
template <class Tensors>
Tensors kept_tensors(Tensors tensors, const std::optional<least_loss_epoch>& best) {
  if (!best || best->tensors.empty()) return {};
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].values = best->tensors[i].view();
  return tensors;
}

}  // namespace safetensors

// Writes a network's parameters and statistics under the names of PyTorch's nn.Sequential, whole or not at
// all.
template <class Network>
void save(Network& net, const std::filesystem::path& path) {
  const auto all = net.tensors();
  std::vector<stored_tensor> tensors;
  safetensors::describe(all, "", tensors);
  safetensors::download(net.stream(), all, tensors);
  write_safetensors(path, tensors);
}

// Reads a network's parameters and statistics. Where anything does not fit, the error names all of it and the
// network stays as it was.
template <class Network>
void load(Network& net, const std::filesystem::path& path) {
  net.refuse_average("loading a network");
  const auto all = net.tensors();
  std::vector<stored_tensor> wanted;
  safetensors::describe(all, "", wanted);
  const auto tensors = safetensors::read_fitting(
      safetensors::reader(byte_source(path, "loading a network from " + quoted(path))), std::move(wanted));
  safetensors::upload(net.stream(), all, tensors);
}

// Writes all that training needs to go on as if it had not stopped: parameters, statistics, optimiser state,
// epoch, step, the seed of what layers draw and, in FP16, the loss scale; what early stopping and
// reduce_on_plateau have come to.
template <class Network>
void save_checkpoint(Network& net, const std::filesystem::path& path) {
  net.refuse_average("saving a checkpoint");
  std::vector<stored_tensor> tensors;
  safetensors::append_numbers(safetensors::numbers_of(net), tensors);
  const auto append = [&](const auto& parameters, const std::string& prefix) {
    const std::size_t begin = tensors.size();
    safetensors::describe(parameters, prefix, tensors);
    safetensors::download(net.stream(), parameters, std::span(tensors).subspan(begin));
  };
  const auto all = net.tensors();
  append(all, "");
  append(net.optimizer_state(), safetensors::optimizer_prefix);
  append(safetensors::kept_tensors(all, net.best_epoch()), safetensors::best_prefix);
  write_safetensors(path, tensors, {{safetensors::optimizer_key, net.optimizer_name()}});
}

// Reads what save_checkpoint() wrote. Where anything does not fit, the error names all of it and the network
// stays as it was.
template <class Network>
void load_checkpoint(Network& net, const std::filesystem::path& path) {
  net.refuse_average("loading a checkpoint");
  safetensors::reader file(byte_source(path, "loading a checkpoint from " + quoted(path)));
  const auto has = [&](const char* prefix) { return safetensors::count_with_prefix(file, prefix) > 0; };
  safetensors::training_numbers numbers;
  if constexpr (Network::scales_loss) numbers.scale.emplace();
  if (has("training.plateau.")) numbers.plateau.emplace();
  if (has("training.best.")) numbers.best.emplace();
  const bool keeps_best = numbers.best && has(safetensors::best_prefix);

  const auto parameters = net.parameters();
  const auto all = net.tensors();
  const int values = safetensors::optimizer_values(file, parameters.size());
  const auto name = file.metadata().find(safetensors::optimizer_key);
  const std::string optimizer = name == file.metadata().end() ? "" : name->second;
  std::vector<stored_tensor> wanted;
  safetensors::append_numbers(numbers, wanted);
  safetensors::describe(all, "", wanted);
  for (int nth = 0; nth < values; ++nth) {
    safetensors::describe(parameters, safetensors::optimizer_prefix, wanted, Network::optimizer_suffix(nth));
  }
  if (keeps_best) safetensors::describe(all, safetensors::best_prefix, wanted);

  const auto tensors = safetensors::read_fitting(std::move(file), std::move(wanted));
  std::span<const stored_tensor> rest = safetensors::read_numbers(tensors, numbers);
  require(!optimizer.empty() || (values == 0 && numbers.optimizer_updates == 0), "restoring an optimiser",
          "the file does not say of which one its state is",
          "keep the metadata that save_checkpoint() writes");
  if (keeps_best) {
    for (const auto& tensor : all) numbers.best->tensors.emplace_back(tensor.values.size);
  }
  safetensors::restore_numbers(net, std::move(numbers), optimizer, values);
  for (const auto& to : {all, net.optimizer_state(), safetensors::kept_tensors(all, net.best_epoch())}) {
    safetensors::upload(net.stream(), to, rest);
    rest = rest.subspan(to.size());
  }
}

}  // namespace plexus::inline PLEXUS_ABI
