// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title ITopics, at 0x4841000000000000000000000000000000000005
/// @notice Markets of intelligence. A topic asks one question again and again, once an epoch; slots
/// answer and judge; its mechanisms say who was useful; and what was burned in the topic pays them.
/// @dev Times are Unix milliseconds of block headers, money is wei, parts are in 1/10000. A `q64` is
/// an `int128` that holds a number times 2^64. A topic's epochs follow one another and never overlap.
interface ITopics {
    /// @notice How usefulness is judged.
    enum Kind {
        // Validators with stake weigh workers.
        Yuma,
        // Inferers say values, forecasters their losses, reputers the truth.
        Synthesis,
        // Workers prove the accuracy of a model on a hidden test set.
        Score
    }

    /// @notice What a slot does. Yuma takes validators and workers as it finds them (permits go by
    /// stake), so its slots have role `Worker`; score has workers only.
    enum Role {
        Worker,
        Forecaster,
        Reputer
    }

    /// @notice Where an epoch stands. `Done` and `Cancelled` are final.
    enum Stage {
        None,
        // Commitments of validators, inferers, forecasters and models are taken.
        Open,
        // Inferers and forecasters reveal; the owner of a score topic reveals the test set, and its
        // workers their models, here or in Lag.
        Sealed,
        // Truth is awaited: reputers commit; proofs of score topics are taken.
        Lag,
        // Validators and reputers reveal.
        Reveal,
        // Shares are computed and paid, a bounded slice a block.
        Settle,
        Done,
        // Nobody could be judged; nothing is paid.
        Cancelled
    }

    /// @notice One mechanism of a topic and its part of what the topic pays.
    struct Mechanism {
        Kind kind;
        // Parts of all mechanisms of a topic sum to 10000.
        uint16 shareBps;
        // The kind's parameters, canonical; empty: its defaults. docs/topics.md has the encoding.
        bytes params;
    }

    /// @notice What a topic's owner decides. Changes wait, and stake may veto them.
    struct Policy {
        // Stages of an epoch, each in milliseconds.
        uint64 openMs;
        uint64 sealedMs;
        uint64 lagMs;
        uint64 revealMs;
        // From one opening to the next at least; not less than the sum of the stages.
        uint64 epochMs;
        // Slots; for synthesis of workers (at most 32), forecasters and reputers (at most 6 each).
        uint16 maxWorkers;
        uint16 maxForecasters;
        uint16 maxReputers;
        // A new slot cannot be pruned for this long.
        uint64 immunityMs;
        // Least bond of a slot: what one withheld reveal costs, and above what an epoch can pay.
        uint128 minBond;
        // Burned by each commitment.
        uint128 submitFee;
        // Earnings become free over this time, linearly.
        uint64 vestingMs;
        // The owner's part of what the topic pays.
        uint16 ownerBps;
        // Range of inferences (q64), both ends in it; the least and the greatest int128: any.
        int128 valueMin;
        int128 valueMax;
    }

    struct Topic {
        uint256 id;
        address owner;
        string title;
        Policy policy;
        uint128 bond;
        uint64 createdAtMs;
        // The epoch that is open, or the one to open next.
        uint64 epoch;
        Stage stage;
        // When the present stage ends.
        uint64 stageEndMs;
        uint16 slotCount;
        // Price of a slot now: its bond. `entry` says what comes to it in a full topic.
        uint128 slotPrice;
        // Burned here, all told, and paid out of that.
        uint128 burned;
        uint128 paid;
        // Granted by donors and not yet paid.
        uint128 granted;
        // Stake of all slots.
        uint128 stake;
        // Smoothed weight among topics.
        uint128 weight;
        // Retired topics open no epochs any more.
        bool retired;
    }

    struct SlotInfo {
        uint16 index;
        // None while zero.
        address operator;
        Role role;
        uint128 bond;
        uint64 registeredAtMs;
        uint64 lastSubmitMs;
        // Smoothed pay per epoch.
        uint128 emissionEma;
        // Latest share of its mechanisms' pay, in 1e-9.
        uint64 shareBillionths;
        // Latest score (q64).
        int128 score;
        // Yuma: may set weights in the next epoch.
        bool permit;
        // Stake pool of this slot.
        uint256 pool;
        uint128 stake;
        uint16 takeBps;
        // Epoch of its open commitment, by any mechanism, that is not revealed; zero: none.
        uint64 unrevealed;
    }

    struct EpochInfo {
        uint64 epoch;
        Stage stage;
        uint64 openedAtMs;
        uint64 settledAtMs;
        uint128 burned;
        uint128 paid;
        uint32 commitments;
        uint32 reveals;
        // Mechanism outputs hash the shares and scores that were settled.
        bytes32 settlement;
    }

    /// @notice A network inference (q64) with percentiles 2.28, 15.87, 50, 84.13 and 97.72.
    struct Inference {
        uint64 epoch;
        uint64 atMs;
        int128 value;
        int128[5] percentiles;
    }

    struct Pool {
        uint16 slot;
        uint256 topic;
        address operator;
        uint128 amount;
        uint256 shares;
        uint16 takeBps;
        // A raise that waits.
        uint16 nextTakeBps;
        uint64 nextTakeAtMs;
    }

    struct Params {
        uint128 topicBond;
        uint128 createFee;
        // Largest part of what was burned in a topic that comes back by any route.
        uint16 returnBps;
        // The part of a topic's pay for the network's security.
        uint16 networkBps;
        address treasury;
        // Emission of all topics in one second, before halvings, and its cap for all time.
        uint128 emissionPerSecond;
        uint128 emissionCap;
        // Emitted so far, grants apart.
        uint128 emitted;
        uint64 unstakeDelayMs;
        uint64 takeDelayMs;
        uint64 timelockMs;
        uint16 vetoBps;
        // Grants are paid over at least this many epochs.
        uint32 grantEpochs;
        // The chain itself advances an epoch that nobody advanced for so long.
        uint64 graceMs;
        // Slots that are paid in one slice.
        uint16 slotsPerSlice;
        // The price of a slot above its floor halves in this time.
        uint64 priceHalfLifeMs;
    }

    event Created(uint256 indexed topic, address indexed owner, string title, uint128 bond);
    event RetirementProposed(uint256 indexed topic, uint64 effectiveAtMs);
    event Retired(uint256 indexed topic);
    event Registered(
        uint256 indexed topic, uint16 indexed slot, address indexed operator, uint8 role, uint128 bond, uint256 pool
    );
    event ToppedUp(uint256 indexed topic, uint16 indexed slot, uint128 amount, uint128 bond);
    event Pruned(uint256 indexed topic, uint16 indexed slot, address indexed operator, uint128 returned);
    /// @notice What a newcomer paid to whom it put out, beside the bond.
    event Compensated(uint256 indexed topic, uint16 indexed slot, address indexed operator, uint128 amount);
    event Left(uint256 indexed topic, uint16 indexed slot, address indexed operator, uint128 returned);
    event Staked(uint256 indexed pool, address indexed staker, uint128 amount, uint256 shares);
    event Unstaking(uint256 indexed pool, address indexed staker, uint128 amount, uint64 freeAtMs);
    event TakeChanged(uint256 indexed pool, uint16 takeBps, uint64 fromMs);
    event Withdrawn(address indexed account, uint256 amount);
    event Funded(uint256 indexed topic, address indexed from, uint256 burned);
    event Granted(uint256 indexed topic, address indexed from, uint256 amount);
    /// @notice A donor's part of what a retired topic did not pay is free.
    event Reclaimed(uint256 indexed topic, address indexed donor, uint256 amount);
    event Opened(uint256 indexed topic, uint64 indexed epoch, uint64 closesAtMs);
    event StageChanged(uint256 indexed topic, uint64 indexed epoch, uint8 stage, uint64 endsAtMs);
    event Committed(
        uint256 indexed topic, uint64 indexed epoch, uint8 mechanism, uint16 indexed slot, bytes32 commitment
    );
    event Revealed(uint256 indexed topic, uint64 indexed epoch, uint8 mechanism, uint16 indexed slot, bytes payload);
    /// @notice A commitment was not opened in time: this much of the slot's bond was burned. Slot
    /// 65535: the owner's test set stayed closed, and this much of the topic's bond was burned.
    event Withheld(uint256 indexed topic, uint64 indexed epoch, uint16 indexed slot, uint128 burned);
    event TestSetCommitted(uint256 indexed topic, uint64 indexed epoch, bytes32 commitment);
    event TestSetRevealed(uint256 indexed topic, uint64 indexed epoch, uint32 samples);
    event Proven(uint256 indexed topic, uint64 indexed epoch, uint16 indexed slot, uint32 sample, bool correct);
    event Inferred(uint256 indexed topic, uint64 indexed epoch, int128 value, int128[5] percentiles);
    /// @notice What a mechanism decided, with every column of numbers that explains it:
    /// docs/topics.md has the encoding of `explanation`.
    event Settled(
        uint256 indexed topic, uint64 indexed epoch, uint8 mechanism, uint128 pay, uint64[] shares, bytes explanation
    );
    event Paid(
        uint256 indexed topic, uint64 indexed epoch, uint16 indexed slot, address operator, uint128 toOperator, uint128 toPool
    );
    /// @notice What a mechanism's pay gave to the topic's owner, free at once, and to the treasury.
    event HousePaid(
        uint256 indexed topic, uint64 indexed epoch, address owner, uint128 toOwner, address treasury, uint128 toTreasury
    );
    event PolicyProposed(uint256 indexed topic, uint64 effectiveAtMs, address newOwner);
    event Vetoed(uint256 indexed topic, address indexed by, uint128 stake, bool struck);
    event PolicyChanged(uint256 indexed topic);

    error UnknownTopic(uint256 topic);
    error UnknownSlot(uint256 topic, uint16 slot);
    error UnknownPool(uint256 pool);
    error InvalidPolicy(string reason);
    error InvalidMechanism(uint8 mechanism, string reason);
    error WrongPayment(uint256 needed);
    error NotOwner(address owner);
    error NotOperator(address operator);
    error TopicRetired(uint256 topic);
    error NotRetired(uint256 topic);
    /// @notice Nobody gives way now: every slot of the role is immune or has an open commitment, or the epoch
    /// under way is past Open.
    error Full(uint256 topic, uint8 role);
    error AlreadyRegistered(uint256 topic, uint16 slot);
    error WrongRole(uint8 role);
    error WrongStage(uint256 topic, Stage stage);
    error WrongEpoch(uint256 topic, uint64 epoch);
    /// @notice The window closed at this time.
    error TooLate(uint64 closedAtMs, uint64 nowMs);
    error DuplicateSubmission(uint256 topic, uint64 epoch, uint16 slot);
    error BondTooSmall(uint128 bond, uint128 needed);
    /// @notice The opening is not of the commitment.
    error CommitmentMismatch(bytes32 expected, bytes32 found);
    error NothingCommitted(uint256 topic, uint64 epoch, uint16 slot);
    error InvalidPayload(string reason);
    error ValueOutOfRange(int128 value, int128 least, int128 greatest);
    /// @notice An input with this keccak256 was opened in a test set, in this topic or another, before the window
    /// for models closed, or stands twice in this one.
    error SampleUsed(bytes32 digest);
    error TestSetMissing(uint256 topic, uint64 epoch);
    error ModelTooYoung(bytes32 model);
    error AlreadyProven(uint32 sample);
    error ProofRefused(string reason);
    error NothingToDo(uint256 topic, uint64 fromMs);
    error NothingProposed(uint256 topic);
    error InsufficientShares(uint256 shares, uint256 needed);
    error InsufficientBalance(uint256 free, uint256 needed);
    error CommitmentOpen(uint256 topic, uint16 slot);
    error ZeroAmount();
    error LimitTooLarge(uint256 limit, uint256 maximum);

    // --- topics -----------------------------------------------------------------------------

    /// @notice Makes a topic. The coins sent are the bond, which comes back when it retires, and the fee,
    /// which is burned.
    function create(string calldata title, Policy calldata policy, Mechanism[] calldata mechanisms)
        external
        payable
        returns (uint256 topic);
    /// @notice Burns the coins sent as the topic's income: what it pays can be this much more, less
    /// what never comes back.
    function fund(uint256 topic) external payable;
    /// @notice Gives the coins sent to the topic's participants, over many epochs.
    function grant(uint256 topic) external payable;
    /// @notice Proposes another policy and owner; both take effect after the timelock, between two
    /// epochs, if stake does not veto. Mechanisms never change.
    function proposePolicy(uint256 topic, Policy calldata policy, address newOwner) external;
    /// @notice Adds the caller's stake in `pool` to the veto against the waiting proposal, once.
    function veto(uint256 topic, uint256 pool) external;
    /// @notice Proposes the topic's end, in the place of any proposal that waits. After the timelock,
    /// between two epochs, if stake does not veto: no further epochs, and the topic's bond is free.
    function retire(uint256 topic) external;
    /// @notice Frees the caller's part of what a retired topic did not pay of its grants.
    function reclaim(uint256 topic) external returns (uint256 amount);

    // --- slots and stake --------------------------------------------------------------------

    /// @notice Takes a slot for the caller; what is sent above the price goes back to its balance. Where
    /// all are taken it puts out whoever earns least, and pays that one a compensation: see `entry`.
    function register(uint256 topic, Role role) external payable returns (uint16 slot);
    /// @notice Adds to the bond of the caller's slot.
    function topUp(uint256 topic, uint16 slot) external payable;
    /// @notice Frees the caller's slot; refused while a commitment is open. The bond is free after
    /// the unstaking delay.
    function leave(uint256 topic, uint16 slot) external;
    /// @notice Stakes the coins sent on a slot.
    function stake(uint256 topic, uint16 slot) external payable returns (uint256 shares);
    /// @notice Takes stake out of a pool; free after the delay, by `withdraw`.
    function unstake(uint256 pool, uint256 shares) external;
    /// @notice The operator's part of what its slot earns; the rest goes to its pool. All of it at
    /// first: an operator lowers it to invite stake. A raise waits.
    function setTake(uint256 topic, uint16 slot, uint16 takeBps) external;
    /// @notice Moves what is free to the caller: vested earnings, freed bonds and stakes.
    function withdraw() external returns (uint256 amount);

    // --- epochs -----------------------------------------------------------------------------

    /// @notice Commits the caller's slot; the coins sent are exactly the policy's `submitFee`.
    /// `commitment = keccak256(abi.encode(chainId, topic, epoch, mechanism, slot, operator, salt,
    /// keccak256(payload)))`.
    function commit(uint256 topic, uint64 epoch, uint8 mechanism, uint16 slot, bytes32 commitment)
        external
        payable;
    /// @notice Opens a commitment.
    function reveal(
        uint256 topic,
        uint64 epoch,
        uint8 mechanism,
        uint16 slot,
        bytes32 salt,
        bytes calldata payload
    ) external;
    /// @notice Commits a score topic's test set for an epoch that is not open yet:
    /// `keccak256(abi.encode(salt, keccak256(testSet)))`.
    function commitTestSet(uint256 topic, uint64 epoch, bytes32 commitment) external;
    /// @notice Opens the test set, after the models were committed. Its inputs are spent: none may
    /// ever be in a test set again, of any topic.
    function revealTestSet(uint256 topic, uint64 epoch, bytes32 salt, bytes calldata testSet) external;
    /// @notice Proves what the committed model answers for one sample.
    function prove(
        uint256 topic,
        uint64 epoch,
        uint8 mechanism,
        uint16 slot,
        uint32 sample,
        bytes calldata output,
        bytes calldata proof
    ) external;
    /// @notice Does one bounded slice of what is due; anyone may, and the chain does after a while.
    function advance(uint256 topic) external;

    // --- views ------------------------------------------------------------------------------

    function count() external view returns (uint256);
    function get(uint256 topic) external view returns (Topic memory);
    /// @notice What a slot costs now: its bond, which comes back, and the compensation of whom a newcomer puts
    /// out: its smoothed pay in as many epochs as the newcomer is immune, and one. Zero while a slot is vacant.
    function entry(uint256 topic, Role role) external view returns (uint128 bond, uint128 compensation);
    function mechanisms(uint256 topic) external view returns (Mechanism[] memory);
    /// @notice Slots from `offset`, at most 64 a call.
    function slots(uint256 topic, uint256 offset, uint256 limit) external view returns (SlotInfo[] memory);
    /// @notice The slot of an operator; 65535: none.
    function slotOf(uint256 topic, address operator) external view returns (uint16);
    function epochInfo(uint256 topic, uint64 epoch) external view returns (EpochInfo memory);
    /// @notice The topic's latest network inference and its age; epoch zero: none yet.
    function latest(uint256 topic) external view returns (Inference memory inference, uint64 ageMs);
    /// @notice What a slot last revealed to a mechanism, and in which epoch.
    function submission(uint256 topic, uint8 mechanism, uint16 slot)
        external
        view
        returns (uint64 epoch, bytes memory payload);
    /// @notice The mechanism's memory between epochs; docs/topics.md has the encoding.
    function memoryOf(uint256 topic, uint8 mechanism) external view returns (bytes memory);
    function testSet(uint256 topic, uint64 epoch)
        external
        view
        returns (bytes32 commitment, bytes memory samples);
    /// @notice Whether an input with this keccak256 was ever opened in a test set.
    function sampleUsed(bytes32 digest) external view returns (bool);
    function pool(uint256 pool) external view returns (Pool memory);
    /// @notice An account's shares of a pool and what they are worth.
    function position(uint256 pool, address account) external view returns (uint256 shares, uint128 amount);
    /// @notice An account's coins: free now, still vesting, and waiting until `nextAtMs`.
    function balances(address account)
        external
        view
        returns (uint256 free, uint256 vesting, uint256 waiting, uint64 nextAtMs);
    function params() external view returns (Params memory);
    function liabilities() external view returns (uint256);
}
