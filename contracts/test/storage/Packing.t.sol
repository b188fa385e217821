// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DelegationSetup} from "../support/Delegation.sol";
import {Subscription} from "src/interface/ICoordinator.sol";

/// @notice What is stored comes back to the bit, however it is packed.
contract PackingTest is DelegationSetup {
    function testKeepsWhatIsCreated(Subscription memory sub, string memory containers) public {
        sub.owner = address(consumer);
        sub.period = uint32(bound(sub.period, 0, type(uint32).max - 1_750_000_000));
        sub.activeAt = 1_750_000_000 + sub.period;
        sub.containerId = keccak256(abi.encode(containers));
        _assertKept(sub, _create(sub, containers));
    }

    function testKeepsWhatIsSigned(Subscription memory sub) public {
        sub.owner = address(delegated);
        _assertKept(sub, _delegate(0, sub));
    }

    function testKeepsAmountsAtTheirWidth(uint256 above) public {
        _assertAmountKept(type(uint96).max - 1);
        _assertAmountKept(type(uint96).max);
        _assertAmountKept(uint256(type(uint96).max) + 1);
        _assertAmountKept(type(uint256).max);
        _assertAmountKept(bound(above, type(uint96).max, type(uint256).max));
    }

    function testKeepsFrequenciesAtTheirWidth(uint32 above) public {
        _assertCountsKept((1 << 20) - 2, 1);
        _assertCountsKept((1 << 20) - 1, 1);
        _assertCountsKept(1 << 20, 1);
        _assertCountsKept(type(uint32).max, 1);
        _assertCountsKept(uint32(bound(above, 1 << 20, type(uint32).max)), 0);
    }

    function testKeepsRedundanciesAtTheirWidth(uint16 above) public {
        _assertCountsKept(1, 254);
        _assertCountsKept(1, 255);
        _assertCountsKept(1, 256);
        _assertCountsKept(1, type(uint16).max);
        _assertCountsKept(0, uint16(bound(above, 256, type(uint16).max)));
    }

    function testKeepsBothCountsBeyondTheirWidth() public {
        _assertCountsKept(type(uint32).max, type(uint16).max);
    }

    function testKeepsTokenWithoutPayment() public {
        Subscription memory sub = _sub();
        sub.paymentToken = address(token);
        _assertKept(sub, _create(sub, "container"));
    }

    function testKeepsWalletWithoutAmount() public {
        Subscription memory sub = _sub();
        sub.wallet = payable(wallet);
        _assertKept(sub, _create(sub, "container"));
    }

    function testKeepsVerifierWithoutPayment() public {
        Subscription memory sub = _sub();
        sub.verifier = payable(makeAddr("verifier"));
        _assertKept(sub, _create(sub, "container"));
    }

    function testCancelsNothingButTheTime(Subscription memory sub) public {
        sub.owner = address(delegated);
        uint32 id = _delegate(0, sub);
        delegated.cancel(id);
        sub.activeAt = type(uint32).max;
        _assertKept(sub, id);
    }

    function testHasNothingWhereThereIsNone() public view {
        Subscription memory none;
        assertEq(abi.encode(coordinator.getSubscription(0)), abi.encode(none));
        assertEq(abi.encode(coordinator.getSubscription(77)), abi.encode(none));
    }

    function testListsThemInTheirOrder() public {
        uint32 first = _callback(1);
        uint32 second = _callback(2);
        Subscription[] memory subs = coordinator.getSubscriptions(first - 1, second + 2);
        assertEq(subs.length, 4);
        assertEq(subs[0].owner, address(0));
        assertEq(subs[1].redundancy, 1);
        assertEq(subs[2].redundancy, 2);
        assertEq(subs[3].owner, address(0));
    }

    function testCannotListBackwards() public {
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        coordinator.getSubscriptions(2, 1);
    }

    function _assertAmountKept(uint256 amount) private {
        Subscription memory sub = _sub();
        sub.paymentAmount = amount;
        _assertKept(sub, _create(sub, "container"));
    }

    function _assertCountsKept(uint32 frequency, uint16 redundancy) private {
        Subscription memory sub = _sub();
        (sub.frequency, sub.redundancy) = (frequency, redundancy);
        _assertKept(sub, _create(sub, "container"));
    }

    function _assertKept(Subscription memory sub, uint32 id) private view {
        assertEq(abi.encode(coordinator.getSubscription(id)), abi.encode(sub));
        assertEq(abi.encode(coordinator.getSubscriptions(id, id + 1)[0]), abi.encode(sub));
    }

    function _create(Subscription memory sub, string memory containers) private returns (uint32) {
        return consumer.create(
            containers,
            sub.frequency,
            sub.period,
            sub.redundancy,
            sub.lazy,
            sub.paymentToken,
            sub.paymentAmount,
            sub.wallet,
            sub.verifier
        );
    }

    function _sub() private view returns (Subscription memory sub) {
        sub = _delegatedSub();
        sub.owner = address(consumer);
    }
}
