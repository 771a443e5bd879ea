"""Fine-tune a vision transformer (or CNN) on a dataset made by `hf-cushing prepare`.

accelerate launch train.py --dataset DIR|HUB_ID --model NAME|DIR|HUB_ID \
    --finetune head|last_n|lora|full|lp-ft --output_dir RUN [--config F.yaml] [--fold K|all] \
    [--seed S] [--init pretrained|random] [--resume]

The same as `hf-cushing train`; `python train.py --help` lists every option.
"""

from hf_cushing.cli.training import main

if __name__ == "__main__":
    main()
